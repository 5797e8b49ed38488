"""Bodies held against ARM's published types: the JSON Schemas of ``../shared/contracts/azure``, or what the provider has condensed of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT.parent / "shared" / "contracts" / "azure"
SOURCE = "ARM's published types" if PUBLISHED.is_dir() else "the provider's own data, for the published types are not at hand"
ALIASES = {
    f"Microsoft.MachineLearningServices/registries/{n}": f"Microsoft.MachineLearningServices/workspaces/{n}"
    for asset in ("data", "environments", "components", "codes")
    for n in (asset, f"{asset}/versions")
}
"""Types of a registry that are published for workspaces alone, with the same bodies."""


def known(type: str) -> tuple[str, str] | None:
    """The type as it is written, and its api-version; None for one that nobody published here."""
    return _index().get(ALIASES.get(type, type).lower())


def complaints(type: str, body: Any, *, partial: bool) -> Iterator[str]:
    """What the published type does not allow in a body; ``partial``: of a PATCH, which need not be whole."""
    name, version = _index()[ALIASES.get(type, type).lower()]
    if not PUBLISHED.is_dir():
        yield from _condensed(name, body, partial)
        return
    checked = _without_nulls(body) if partial else body
    for error in _validator(f"{name}@{version}", partial).iter_errors(checked):
        deep = error
        while deep.context:
            deep = max(deep.context, key=lambda e: (e.validator != "const", len(e.absolute_path)))
        yield f"{'.'.join(map(str, deep.absolute_path)) or 'body'}: {deep.message[:200]}"


@cache
def _index() -> dict[str, tuple[str, str]]:
    if PUBLISHED.is_dir():
        found = (full.split("@") for full in json.loads((PUBLISHED / "index.json").read_text()))
        return {name.lower(): (name, version) for name, version in found}
    from mlinfra_azure import contracts

    return {
        name.lower(): (name, tree["version"])
        for namespace in contracts._NAMESPACES.values()
        for name, tree in contracts._document(namespace)["types"].items()
    }


@cache
def _validator(full: str, partial: bool) -> Any:
    schema = json.loads((PUBLISHED / json.loads((PUBLISHED / "index.json").read_text())[full]).read_text())
    return jsonschema.Draft202012Validator(_optional(schema) if partial else schema)


def _optional(schema: Any) -> Any:
    """The schema with nothing required; what comes in variants may be any of them."""
    if isinstance(schema, list):
        return [_optional(s) for s in schema]
    if not isinstance(schema, Mapping):
        return schema
    out = {k: _optional(v) for k, v in schema.items() if k != "required" or not isinstance(v, list)}
    if "oneOf" in out:
        out["anyOf"] = out.pop("oneOf")
    return out


def _without_nulls(body: Any) -> Any:
    if isinstance(body, dict):
        return {k: _without_nulls(v) for k, v in body.items() if v is not None}
    return [_without_nulls(v) for v in body] if isinstance(body, list) else body


def _condensed(name: str, body: Any, partial: bool) -> Iterator[str]:
    from mlinfra.provider.bodies import field_problems
    from mlinfra_azure.contracts import contract

    found = contract(name)
    assert found is not None
    for path, said in field_problems(found, "", found.body, copy.deepcopy(_without_nulls(body) if partial else body)):
        if not (partial and "is required" in said):
            yield f"{'.'.join(map(str, path))}: {said}"
