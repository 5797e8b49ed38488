"""Write providers/mlinfra_azure/published/ anew: what ARM's published types say of a PUT's body, condensed to what plans check.

    python scripts/condense_azure_types.py FOLDER

FOLDER holds one JSON Schema a type and api-version and an ``index.json``, as made from https://github.com/Azure/bicep-types-az
(MIT): read-only properties left out, required ones required, a closed enum as ``enum``, an open one as ``examples``. One file a
namespace comes out of it, in the form that ``mlinfra.provider.bodies`` reads; scalars are written out where they are used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "providers" / "mlinfra_azure" / "published"
SOURCE = "https://github.com/Azure/bicep-types-az (MIT), 2026-08"


def main() -> None:
    folder = Path(sys.argv[1])
    namespaces: dict[str, dict[str, Any]] = {}
    for full, file in sorted(json.loads((folder / "index.json").read_text()).items()):
        name, _, version = full.partition("@")
        namespaces.setdefault(name.partition("/")[0], {})[name] = condensed(json.loads((folder / file).read_text()), version)
    TARGET.mkdir(exist_ok=True)
    for old in TARGET.glob("*.json"):
        old.unlink()
    for namespace, types in namespaces.items():
        text = json.dumps({"source": SOURCE, "types": types}, sort_keys=True, separators=(",", ":"))
        (TARGET / f"{namespace}.json").write_text(text + "\n")
    print(f"{sum(len(t) for t in namespaces.values())} types of {len(namespaces)} namespaces")


def condensed(schema: Mapping[str, Any], version: str) -> dict[str, Any]:
    """One type: its version, the properties of its body, and the schemas that these refer to, each by the name of the property that
    refers to it first."""
    definitions = schema["$defs"]
    names: dict[str, str] = {}
    body = _fields(schema, definitions, names)
    schemas: dict[str, Any] = {}
    while missing := [number for number, name in names.items() if name not in schemas]:
        for number in missing:
            schemas[names[number]] = _property(names[number], definitions[number], definitions, names)
    return {"version": version, "body": body, "schemas": schemas}


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    return {
        name: {**_property(name, prop, definitions, names), **({"required": True} if name in required else {})}
        for name, prop in schema.get("properties", {}).items()
    }


def _property(called: str, prop: Mapping[str, Any], definitions: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if "$ref" in prop:
        number = prop["$ref"].rpartition("/")[2]
        if _closed(definitions[number]):
            return {"ref": names.setdefault(number, _free(called, names))}
        return _property(called, definitions[number], definitions, names)
    if "oneOf" in prop:
        choice = prop["discriminator"]["propertyName"]
        shared = _fields(prop, definitions, names) if prop.get("properties") else {}
        variants = {}
        for one in prop["oneOf"]:
            fields = {**shared, **_fields(one, definitions, names)}
            variants[_constant(one["properties"][choice], definitions)] = fields
        return {"choice": choice, "variants": variants}
    if prop.get("type") == "object":
        return _object(called, prop, definitions, names)
    if prop.get("type") == "array":
        return {"type": "array", "items": _property(called, prop["items"], definitions, names)}
    return _scalar(prop)


def _object(called: str, prop: Mapping[str, Any], definitions: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any]:
    more = prop.get("additionalProperties")
    if isinstance(more, Mapping) and not prop.get("properties"):
        return {"map": _property(called, more, definitions, names)}
    if more is False:
        return {"props": _fields(prop, definitions, names)}
    return {"type": "object"}  # open: anything may stand in it


def _scalar(prop: Mapping[str, Any]) -> dict[str, Any]:
    if "const" in prop:
        return {"type": "string", "enum": [prop["const"]]}
    if "enum" in prop:
        return {"type": "string", "enum": prop["enum"]}
    found: dict[str, Any] = {"type": prop.get("type", "any")}
    if "examples" in prop:
        found["known"] = prop["examples"]
    if "pattern" in prop:
        found["pattern"] = prop["pattern"]
    for name, least, most in (("length", "minLength", "maxLength"), ("range", "minimum", "maximum")):
        if least in prop or most in prop:
            found[name] = [prop.get(least), prop.get(most)]
    return found


def _free(called: str, names: Mapping[str, str]) -> str:
    taken, number = set(names.values()), 1
    while (name := called if number == 1 else f"{called} ({number})") in taken:
        number += 1
    return name


def _closed(schema: Mapping[str, Any]) -> bool:
    """An object of known properties: written once, and referred to."""
    return schema.get("type") == "object" and schema.get("additionalProperties") is False


def _constant(prop: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    while "$ref" in prop:
        prop = definitions[prop["$ref"].rpartition("/")[2]]
    return str(prop["const"])


if __name__ == "__main__":
    main()
