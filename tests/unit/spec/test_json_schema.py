"""The JSON Schema that editors use: generated, up to date, and of one mind with the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlinfra.kinds import catalog
from mlinfra.spec.json_schema import FILE, spec_schema, text, write
from mlinfra.spec.loader import TOP_LEVEL
from mlinfra.spec.resource_blocks import COMMON_KEYS
from mlinfra.spec.yaml_reader import read_yaml

ROOT = Path(__file__).parents[3]
SEEDS = ROOT / "tests" / "properties" / "seeds"
SPECS = [*sorted(ROOT.glob("examples/*/mlinfra.yaml")), SEEDS / "tickets.yaml", SEEDS / "language.yaml"]


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = spec_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(validator: Any, document: Any) -> list[str]:
    return [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(document)]


def with_resource(resource: dict[str, Any]) -> dict[str, Any]:
    return {"project": "p", "resources": {"r": resource}}


@pytest.mark.parametrize("spec", SPECS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_real_specs_are_accepted(validator: Any, spec: Path) -> None:
    assert errors(validator, read_yaml(spec.read_text(), spec.name).value) == []


def test_the_file_in_the_repository_is_up_to_date() -> None:
    assert (ROOT / "schemas" / FILE).read_text() == text(), "run: mlinfra schema --write schemas/"


def test_writing_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    assert write(tmp_path / "new" / "schemas").read_text() == text()


def test_every_block_and_every_common_key_is_described() -> None:
    schema = spec_schema()
    assert set(schema["properties"]) == set(TOP_LEVEL)
    assert all("description" in block for block in schema["properties"].values())
    for name in catalog.NAMES:
        kind = schema["$defs"][f"kind.{name}"]
        assert set(COMMON_KEYS) <= set(kind["properties"])
        assert catalog.kind(name).summary in kind["description"]


def test_every_field_of_every_kind_is_there() -> None:
    schema = spec_schema()
    for name in catalog.NAMES:
        fields = {field.alias or key for key, field in catalog.form(name).model_fields.items()}
        assert fields <= set(schema["$defs"][f"kind.{name}"]["properties"])


def test_every_reference_leads_somewhere() -> None:
    schema = spec_schema()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [r for child in node.values() for r in references(child)]
        return [r for child in node for r in references(child)] if isinstance(node, list) else []

    assert {r.removeprefix("#/$defs/") for r in references(schema)} <= set(schema["$defs"])


@pytest.mark.parametrize(
    "resource",
    [
        {"kind": "bucket", "versionning": True},
        {"kind": "bucket", "versioning": "yes"},
        {"kind": "buckett"},
        {"versioning": True},
        {"kind": "vector_database", "engine": "pinecone"},
        {"kind": "endpoint", "variants": {"a": {"modell": "${m}"}}},
        {"kind": "model", "versions": {}},
        {"kind": "data", "lifecycle": {"protct": True}},
        {"kind": "data", "enabled": "no"},
    ],
)
def test_mistakes_are_refused(validator: Any, resource: dict[str, Any]) -> None:
    assert errors(validator, with_resource(resource))


@pytest.mark.parametrize(
    "resource",
    [
        {"kind": "bucket", "versioning": "${vars.on}"},
        {"kind": "vector_database", "engine": "${vars.engine}"},
        {"kind": "endpoint", "variants": "${vars.variants}"},
        {"kind": "endpoint", "variants": {"a": {"model": "${m}", "traffic": "${vars.t}"}}, "replicas": {"min": "${vars.n}"}},
        {"kind": "bucket", "for_each": "${vars.names}", "enabled": "${vars.on}", "depends_on": ["a"], "tags": {"a": 1}},
        {"kind": "bucket", "properties": {"name": "x"}},
        {"kind": "model", "properties": {"registry": "${r}"}},
        {"kind": "docker.network", "Driver": "bridge", "anything": {"goes": [1]}},
        {"kind": "data", "input": {"any": ["thing"]}},
        {"kind": "data", "existing": "abc", "lifecycle": {"protect": True, "timeout": "20m"}},
    ],
)
def test_expressions_and_common_keys_are_accepted(validator: Any, resource: dict[str, Any]) -> None:
    assert errors(validator, with_resource(resource)) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"project": "My Project"},
        {"project": "p", "version": 2},
        {"project": "p", "resurces": {}},
        {"project": "p", "variables": {"a": {"type": "int"}}},
        {"project": "p", "outputs": {"a": {"value": 1, "sensitve": True}}},
        {"project": "p", "moved": [{"from": "a"}]},
        {"project": "p", "policies": [{"name": "a"}]},
        {"project": "p", "resources": {"Bad": {"kind": "data"}}},
    ],
)
def test_bad_blocks_are_refused(validator: Any, document: dict[str, Any]) -> None:
    assert errors(validator, document)
