"""The JSON Schema (2020-12) of a spec, generated from the kinds; editors check and complete with it.

``# yaml-language-server: $schema=schemas/mlinfra.schema.json`` on a spec's first line turns it on.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.json_schema import PydanticJsonSchemaWarning, models_json_schema

from mlinfra.kinds import catalog
from mlinfra.kinds.base import EXPRESSION_SCHEMA
from mlinfra.spec.hover import hover
from mlinfra.spec.json_schema_blocks import COMMON, EXPRESSION, TOP_LEVEL, VALUE
from mlinfra.spec.names import NATIVE_KIND

FILE = "mlinfra.schema.json"
_DEFS = "#/$defs/"
_ASIDE = ("description", "default", "deprecated", "examples")


def spec_schema(kinds: Iterable[str] = catalog.NAMES) -> dict[str, Any]:
    """The schema of a whole ``mlinfra.yaml`` with these portable kinds."""
    names = list(kinds)
    models = {name: catalog.form(name) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
        refs, shared = models_json_schema([(model, "validation") for model in models.values()], ref_template=_DEFS + "{model}")
    generated = {name: _open_to_expressions(schema) for name, schema in sorted(shared.get("$defs", {}).items())}
    definitions = {"expression": EXPRESSION, "value": VALUE}
    for name, model in models.items():
        own = generated.pop(refs[(model, "validation")]["$ref"].removeprefix(_DEFS))
        definitions[f"kind.{name}"] = _with_common_keys(name, model.summary, _explained(name, own))
    generated = {name: _explained(name.rpartition("__")[2], schema) for name, schema in generated.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlinfra spec",
        "description": "Infrastructure for the machine-learning lifecycle, declared in one file.",
        "type": "object",
        "required": ["project"],
        "properties": {
            **TOP_LEVEL,
            "resources": {
                "description": "what there is to be, by name",
                "type": "object",
                "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
                "additionalProperties": {"$ref": _DEFS + "resource"},
            },
        },
        "additionalProperties": False,
        "$defs": {"resource": _resource(names), **definitions, **generated},
    }


def write(directory: Path) -> Path:
    """Write the schema into ``directory`` as ``mlinfra.schema.json``; gives the file."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / FILE
    file.write_text(text(), encoding="utf-8")
    return file


def text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(spec_schema(), indent=2, ensure_ascii=False) + "\n"


def _resource(names: list[str]) -> dict[str, Any]:
    native = "^" + NATIVE_KIND.pattern.removesuffix("\\Z") + "$"
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {
                "description": "a portable kind, or a provider's own type like docker.network",
                "anyOf": [{"enum": names}, {"type": "string", "pattern": native}],
            }
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"{_DEFS}kind.{name}"},
            }
            for name in names
        ],
        "if": {"properties": {"kind": {"pattern": native}}, "required": ["kind"]},
        "then": {"properties": COMMON},
    }


def _with_common_keys(name: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A kind's own schema with the keys that every resource takes; a required field may also stand under ``properties``."""
    fields = schema.get("properties", {})
    common = {key: value for key, value in COMMON.items() if key not in fields}
    described = "\n\n".join(part for part in (summary, schema.get("description", "")) if part)
    result: dict[str, Any] = {
        "description": described,
        "type": "object",
        "properties": {"kind": {"const": name, "description": summary}, **fields, **common},
        "additionalProperties": False,
    }
    if schema.get("required"):
        result["anyOf"] = [{"required": schema["required"]}, {"required": ["properties"]}]
    return result


def _explained(model: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with what editors show over its fields, where a field does not say it itself."""
    fields = {
        name: {"description": text, **field} if (text := hover(model, name)) and "description" not in field else field
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": fields} if fields else schema


def _open_to_expressions(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a model, with ``${…}`` allowed for every value in it and pydantic's titles left out."""
    opened = {key: value for key, value in schema.items() if key != "title"}
    if "description" in opened:
        opened["description"] = opened["description"].replace("``", "`")
    for key in ("properties", "patternProperties"):
        if key in opened:
            opened[key] = {name: _value(_open_to_expressions(sub)) for name, sub in opened[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(opened.get(key), dict):
            opened[key] = _value(_open_to_expressions(opened[key]))
    if "prefixItems" in opened:
        opened["prefixItems"] = [_value(_open_to_expressions(sub)) for sub in opened["prefixItems"]]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in opened:
            opened[key] = [_open_to_expressions(sub) for sub in opened[key]]
    return opened


def _value(schema: dict[str, Any]) -> dict[str, Any]:
    """Either what the schema says or an expression."""
    expression = {"$ref": _DEFS + "expression"}
    aside: dict[str, Any] = {key: value for key, value in schema.items() if key in _ASIDE and (key, value) != ("default", None)}
    inner = {key: value for key, value in schema.items() if key not in _ASIDE}
    if not inner or inner == {"type": "string"}:
        return {**aside, **inner}
    options = _options(inner)
    if all("discriminator" not in option for option in options) and len(options) > 1:
        wanted = [option for option in options if option != EXPRESSION_SCHEMA]
    else:
        wanted = [] if inner == EXPRESSION_SCHEMA else [inner]
    if {"type": "string"} in wanted:
        return {**aside, "anyOf": wanted}
    return {**aside, "anyOf": [*wanted, expression]} if wanted else {**aside, **expression}


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The members of nested ``anyOf`` s, flat, each once."""
    if set(schema) != {"anyOf"}:
        return [schema]
    found: list[dict[str, Any]] = []
    for member in schema["anyOf"]:
        found += [option for option in _options(member) if option not in found]
    return found
