"""A component's mistakes show all at once, and none that is only the shadow of another."""

from __future__ import annotations

from pathlib import Path

from mlinfra.resolve import Inputs, examine
from mlinfra.spec.loader import load


def test_fields_that_do_not_go_together_show_beside_fields_that_are_wrong_alone(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text(
        "version: 1\nproject: p\nresources:\n"
        "  store: {kind: vector_database}\n"
        "  c:\n"
        "    kind: collection\n"
        "    database: ${store}\n"
        "    fields: {id: {type: int65, primary: true}, e: {type: float_vector, dim: -1}}\n"
        "    indexes: {nope: {type: HNSW, metric: COSIN}}\n"
    )
    _, found = examine(load(tmp_path), Inputs())
    assert {p.path for p in found} == {
        ("fields", "id", "type"), ("fields", "e", "dim"), ("indexes", "nope", "metric"), ("indexes", "nope"),
    }  # fmt: skip


def test_a_misspelt_key_does_not_also_count_as_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text(
        "version: 1\nproject: p\nresources:\n  r: {kind: model_registry}\n"
        '  m: {kind: model, registry: "${r}", versions: {v1: {artifct: x}}}\n'
    )
    _, found = examine(load(tmp_path), Inputs())
    assert [p.code for p in found] == ["spec.unknown_key"]


def test_terraform_s_words_for_common_keys_are_understood(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text("version: 1\nproject: p\nresources:\n  d: {kind: data, count: 3, provider: local}\n")
    _, found = examine(load(tmp_path), Inputs())
    assert [p.hint for p in found] == ["did you mean 'for_each'?", "did you mean 'target'?"]
