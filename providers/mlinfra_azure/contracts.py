"""ARM's published types, condensed (``scripts/condense_azure_types.py`` writes them): what the body of a PUT may hold.

https://learn.microsoft.com/azure/templates
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from mlinfra.model.values import Path
from mlinfra.provider.bodies import Property


@dataclass(frozen=True)
class Contract:
    """One type at one api-version. ``body`` are the properties of its top level."""

    type: str
    version: str
    source: str
    body: Mapping[str, Property]
    schemas: Mapping[str, Property]

    @property
    def service(self) -> str:
        return self.type

    @property
    def cited(self) -> str:
        """How a plan names it: ``Microsoft.Compute/disks@2026-03-02``."""
        return f"{self.type}@{self.version}"

    def properties(self, schema: str) -> Mapping[str, Property]:
        found: Mapping[str, Property] = self.schemas[schema]["props"]
        return found

    @cached_property
    def inner(self) -> Property:
        """The body's ``properties``."""
        return self.body.get("properties", {"props": {}})

    @cached_property
    def places(self) -> Mapping[str, Path]:
        """Where in the body each attribute stands: ``{"sku": ("sku",), "accessTier": ("properties", "accessTier")}``."""
        top: dict[str, Path] = {n: (n,) for n in self.body if n != "properties"}
        return {**{n: ("properties", n) for n in self.fields(self.inner)}, **top}

    def attribute(self, name: str) -> Property:
        """What the attribute ``name`` may hold. Of types that come in variants: what it may hold in the first that has it."""
        return self.body[name] if self.places[name] == (name,) else self.fields(self.inner)[name]

    def fields(self, prop: Property) -> Mapping[str, Property]:
        """The properties of a nested object; of what comes in variants, those of all of them, none of them required."""
        if "variants" in prop:
            found: dict[str, Property] = {}
            for fields in prop["variants"].values():
                found = {**{n: {k: v for k, v in p.items() if k != "required"} for n, p in fields.items()}, **found}
            names = list(prop["variants"])
            return {**found, prop["choice"]: {"type": "string", "enum": names, "required": True}}
        if "props" in prop:
            known: Mapping[str, Property] = prop["props"]
            return known
        return self.properties(prop["ref"]) if "ref" in prop else {}


@cache
def contract(type: str) -> Contract | None:
    """The contract of an ARM type, in whatever case it is written; None when there is none in our data."""
    namespace = _NAMESPACES.get(type.partition("/")[0].lower())
    if namespace is None:
        return None
    tree = _document(namespace)
    for name, found in tree["types"].items():
        if name.lower() == type.lower():
            return Contract(name, found["version"], tree["source"], found["body"], found["schemas"])
    return None


def version_of(type: str) -> str:
    """The api-version with which a type of our data is spoken to."""
    found = contract(type)
    assert found is not None, f"there is no contract of {type}"
    return found.version


@cache
def _document(namespace: str) -> Any:
    return json.loads((files(__package__) / "published" / f"{namespace}.json").read_text())


_NAMESPACES = {
    name.lower(): name
    for name in (
        "Microsoft.App", "Microsoft.Authorization", "Microsoft.Compute", "Microsoft.ContainerInstance", "Microsoft.ContainerRegistry",
        "Microsoft.Insights", "Microsoft.KeyVault", "Microsoft.MachineLearningServices", "Microsoft.ManagedIdentity", "Microsoft.Network",
        "Microsoft.OperationalInsights", "Microsoft.Resources", "Microsoft.Storage",
    )
}  # fmt: skip
