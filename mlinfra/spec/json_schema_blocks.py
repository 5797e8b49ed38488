"""The hand-written part of the spec's JSON Schema: everything that is not a kind's own field."""

from __future__ import annotations

from typing import Any

from mlinfra.kinds.base import EXPRESSION_SCHEMA
from mlinfra.spec.blocks import VARIABLE_TYPES

Schema = dict[str, Any]

_EXPRESSION: Schema = {"$ref": "#/$defs/expression"}
_VALUE: Schema = {"$ref": "#/$defs/value"}
_NAME = "^[a-z][a-z0-9_]*$"
_INSTANCE = "^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)?$"

EXPRESSION: Schema = {**EXPRESSION_SCHEMA, "description": "an expression, like ${raw.uri} or ${vars.size * 2}"}
VALUE: Schema = {"description": "any value; ${…} anywhere in it is worked out"}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _flag(description: str, default: bool = False) -> Schema:
    return {"type": "boolean", "description": description, "default": default}


def _closed(description: str, properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    found: Schema = {"description": description, "type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _by_name(description: str, item: Schema, pattern: str = _NAME) -> Schema:
    return {
        "description": description,
        "type": ["object", "null"],
        "propertyNames": {"pattern": pattern},
        "additionalProperties": item,
    }


def _optional(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(description: str, item: Schema) -> Schema:
    return {"description": description, "type": ["array", "null"], "items": item}


LIFECYCLE = _closed(
    "how the engine treats it",
    {
        "protect": _flag("refuse to delete or replace it, also after its block is gone"),
        "create_first": _flag("replace it by creating the new one before the old one is deleted"),
        "ignore_changes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "attributes whose changes are left alone",
        },
        "replace_when": {"description": "values whose change replaces it"},
        "timeout": {"type": ["string", "number"], "description": "for one operation, like 20m", "examples": ["60s", "20m"]},
    },
)
_REPEATED: Schema = {
    "for_each": {
        "description": "one instance for every entry; gives each.key and each.value",
        "type": ["object", "array", "string"],
    },
    "enabled": {"description": "false: it is not there", "anyOf": [{"type": "boolean"}, _EXPRESSION], "default": True},
    "depends_on": {"type": "array", "items": {"type": "string"}, "description": "what must be there first, by name"},
}
COMMON: Schema = {
    "target": _text("the provider that makes it, like aws or aws.eu; the environment's by default"),
    **_REPEATED,
    "description": _text("for people"),
    "tags": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"]},
        "description": "tags or labels, where the provider has them",
    },
    "native": {"type": "object", "description": "settings merged into the native resources, by native name: the escape hatch"},
    "lifecycle": LIFECYCLE,
    "existing": {"type": ["string", "integer"], "description": "id of a thing that is only looked up, never changed"},
    "properties": {"type": "object", "description": "fields whose names collide with the common keys"},
}

_VARIABLE = _closed(
    "a value that is given from outside",
    {
        "type": {"enum": list(VARIABLE_TYPES), "default": "any", "description": "what it takes"},
        "default": {"description": "without one the variable must be given"},
        "description": _text("what it is for"),
        "sensitive": _flag("never shown, never written to the state"),
        "check": _closed(
            "what must hold",
            {"rule": _text("CEL over value, like value >= 1"), "message": _text("what to say when it does not")},
            ("rule",),
        ),
    },
)
_PROVIDERS = _by_name(
    "settings by provider instance; credentials come from each SDK's own chain", {"type": ["object", "null"]}, _INSTANCE
)
_STATE: Schema = {
    "description": "where the state is kept",
    "type": "object",
    "properties": {
        "store": {**_text("local by default"), "default": "local"},
        "encryption": {"type": "object", "description": "keep secrets readable, encrypted: {key: env:NAME} (docs/secrets.md)"},
    },
}
_STACK: Schema = {
    "description": "where its state is: the keys of a state block; without store, where this one's state is",
    "type": "object",
    "properties": {
        "store": _text("this one's store by default"),
        "project": _text("this one's by default"),
        "env": _text("this one's by default; default where that spec has no environments"),
        "encryption": {"type": "object", "description": "the key of an encrypted state: {key: env:NAME}"},
    },
}
_ENVIRONMENT = _closed(
    "what differs in this environment",
    {
        "target": {**_text("the default provider instance"), "pattern": _INSTANCE},
        "providers": _PROVIDERS,
        "variables": {"type": "object", "description": "values of variables"},
        "state": _STATE,
        "protect": _flag("destroying or replacing data needs --allow-data-loss"),
    },
)
_MODULE = _closed(
    "a folder with a spec of its own",
    {
        "source": _text("the folder, like ./modules/rag, or git::https://host/team/modules.git//rag?ref=v1.2.0"),
        "with": {"type": "object", "description": "values of the module's variables"},
        **_REPEATED,
    },
    ("source",),
)
_OUTPUT: Schema = {
    "anyOf": [
        _closed(
            "a value with what is to be said of it",
            {"value": _VALUE, "sensitive": _flag("not shown unless asked for"), "description": _text("what it is")},
            ("value",),
        ),
        {"not": {"type": "object", "required": ["value"]}},
    ]
}
_RULES = ['change.action == "delete" && change.kind == "bucket"', "change.cost.after > 500.0"]
_AMOUNT: Schema = {"type": ["string", "number"], "examples": ["2000 USD/month"], "description": "a number is US dollars a month"}
TOP_LEVEL: Schema = {
    "version": {"const": 1, "description": "version of the language"},
    "project": {
        "type": "string",
        "pattern": "^[a-z][a-z0-9_-]*$",
        "maxLength": 60,
        "description": "part of every physical name and tag",
    },
    "variables": _by_name("values given from outside, used as ${vars.name}", _optional(_VARIABLE)),
    "environments": _by_name("chosen with --env", _optional(_ENVIRONMENT), "^[a-z][a-z0-9_-]*$"),
    "providers": _PROVIDERS,
    "state": _STATE,
    "modules": _by_name("local modules, or modules from git", _MODULE),
    "outputs": _by_name("what other people and programs need to know", _OUTPUT),
    "moved": _list(
        "renamed, not replaced", _closed("one entry", {"from": _text("old address"), "to": _text("new address")}, ("from", "to"))
    ),
    "removed": _list(
        "no longer managed",
        _closed(
            "one entry", {"from": _text("address"), "destroy": _flag("false: forget it and leave it be", default=True)}, ("from",)
        ),
    ),
    "imports": _list(
        "existing things to adopt",
        _closed(
            "one entry", {"to": _text("address"), "id": {"type": ["string", "integer"], "description": "its id"}}, ("to", "id")
        ),
    ),
    "policies": _list(
        "rules over every change of a plan, and files of rules that specs share",
        {
            "anyOf": [
                {
                    **_closed(
                        "one rule",
                        {
                            "name": {**_text("the rule's name, by which it can be overridden"), "pattern": "^[a-z][a-z0-9_-]*$"},
                            "deny": {
                                **_text("CEL over change, env and project: refuse the plan where it is true"),
                                "examples": _RULES,
                            },
                            "warn": {**_text("CEL over change, env and project: warn where it is true"), "examples": _RULES},
                            "message": _text("what to say then"),
                        },
                        ("name",),
                    ),
                    "oneOf": [{"required": ["deny"]}, {"required": ["warn"]}],
                },
                _closed("a file of rules", {"file": _text("relative to the spec's folder")}, ("file",)),
            ]
        },
    ),
    "stacks": _by_name("other stacks whose outputs are read as ${stacks.name.output}", _STACK),
    "budget": {
        "description": "what a month of everything may cost, in US dollars; or one amount for each environment",
        "anyOf": [_AMOUNT, {"type": "object", "additionalProperties": _AMOUNT}],
    },
}
