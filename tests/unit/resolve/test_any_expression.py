from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.resolve.resolving import write

from mlinfra.lower import lower
from mlinfra.model.errors import MlinfraError
from mlinfra.provider.registry import Registry
from mlinfra.resolve import Inputs, examine
from mlinfra.spec.loader import load

PIECES = [
    "${", "}", "{", "$${", "$", "raw", ".uri", "item", '["a"]', "[0]", "[", "]", "(", ")", ".map(", "x, ", "x", "vars", ".n", ".k", "each", ".key",
    "module", ".m", ".out", "+", "-", "==", "?", ":", "1", "1.5", "'a'", "'", '"', "\\", "\n", " ", "in", "true", "null", "size(", ".size()", "int",
    "type(", "//", "`", "b'", "r'", "'''", ".?", "cel.bind(", "é", "\u2028", "A", "0x", "optional.of(", "!", "&&", ",",
]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.sampled_from(["{}", "${{{}}}", "a ${{{}}} b"]))
def test_any_text_in_place_of_an_expression_is_a_value_or_a_problem(tmp_path: Path, pieces: list[str], form: str) -> None:
    text = json.dumps(form.format("".join(pieces)))
    body = (
        "variables: {n: {default: 1}, k: {default: hush, sensitive: true}}\n"
        "modules: {m: {source: ./m}}\nresources:\n  raw: {kind: bucket}\n  item: {kind: data, for_each: {a: 1}}\n"
        f"  t: {{kind: data, for_each: [x], input: {text}, tags: {{t: {text}}}}}\n  e: {{kind: data, for_each: {text}}}\n"
        f"outputs: {{o: {text}}}\n"
    )
    try:
        resolved, problems = examine(
            load(write(tmp_path, body, {"m/mlinfra.yaml": "resources: {r: {kind: data}}\noutputs: {out: '${r.id}'}\n"})), Inputs()
        )
        lower(resolved, Registry(), {})
    except MlinfraError as error:
        problems = error.diagnostics
    assert "hush" not in "".join(map(str, problems))
    assert all(p.span is not None for p in problems)
