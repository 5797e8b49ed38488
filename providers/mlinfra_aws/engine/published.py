"""What CloudFormation publishes of a type: property schemas, and which of them are create-only, read-only, identifying.

The files in ``data/`` are condensed by ``scripts/condense_cloudformation.py`` from the registry schemas in the ``cfn-lint`` wheel; each
says its source and date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mlinfra_aws.packed import Packed

Fragment = Mapping[str, Any]
"""A piece of JSON schema."""
_DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One type's schema. The sets hold top-level property names; ``deep_read_only`` whole paths below them."""

    name: str
    properties: Mapping[str, Fragment]
    definitions: Mapping[str, Fragment]
    required: frozenset[str]
    create_only: frozenset[str]
    deep_create_only: tuple[tuple[str, ...], ...]
    read_only: frozenset[str]
    deep_read_only: frozenset[tuple[str, ...]]
    write_only: frozenset[str]
    identifier: tuple[str, ...]
    root: Fragment = field(repr=False)
    source: str
    date: str

    def resolve(self, fragment: Fragment) -> Fragment:
        """The fragment with its reference followed."""
        while True:
            reference = fragment.get("$ref")
            if not isinstance(reference, str):
                return fragment
            found: Any = self.root
            for step in reference.removeprefix("#/").split("/"):
                found = found.get(step, {}) if isinstance(found, Mapping) else {}
            beside = {k: v for k, v in fragment.items() if k != "$ref"}
            fragment = {**found, **beside} if beside else found

    @property
    def cites(self) -> str:
        """What the plan says of a create-only property."""
        return f"createOnly in {self.name}"


@cache
def own() -> Mapping[str, Any]:
    """The condensed schemas of the types that have a name of their own here."""
    return _packed((_DATA / "cloudformation.json").read_bytes())


@cache
def registry() -> Mapping[str, Any]:
    """The condensed schemas of every type that AWS publishes: a tenth of a second to read."""
    import lzma

    return _packed(lzma.decompress((_DATA / "registry.json.xz").read_bytes()))


def _packed(data: bytes) -> Mapping[str, Any]:
    found = json.loads(data)
    return {**found, "types": Packed(found["types"])}


@cache
def published(name: str) -> Published | None:
    """The schema of ``AWS::S3::Bucket``; None when AWS publishes none of that name."""
    data = own()
    if name not in data["types"]:
        data = registry()
        if name not in data["types"]:
            return None
    return _read(name, data["types"][name], data["source"], data["date"])


def names() -> list[str]:
    """Every type that AWS publishes."""
    return sorted(registry()["types"])


def _read(name: str, raw: Mapping[str, Any], source: str, date: str) -> Published:
    read_only = set(_paths(raw, "readOnlyProperties"))
    create_only = list(_paths(raw, "createOnlyProperties"))
    return Published(
        name=name,
        properties=raw.get("properties", {}),
        definitions=raw.get("definitions", {}),
        required=frozenset(raw.get("required") or ()),
        create_only=frozenset(p[0] for p in create_only if len(p) == 1),
        deep_create_only=tuple(p for p in create_only if len(p) > 1),
        read_only=frozenset(p[0] for p in read_only if len(p) == 1),
        deep_read_only=frozenset(p for p in read_only if len(p) > 1),
        write_only=frozenset(p[0] for p in _paths(raw, "writeOnlyProperties") if len(p) == 1),
        identifier=tuple(p[0] for p in _paths(raw, "primaryIdentifier")),
        root=raw,
        source=source,
        date=date,
    )


def _paths(raw: Mapping[str, Any], key: str) -> Iterator[tuple[str, ...]]:
    for pointer in raw.get(key) or ():
        yield tuple(pointer.removeprefix("/properties/").replace("/properties/", "/").split("/"))
