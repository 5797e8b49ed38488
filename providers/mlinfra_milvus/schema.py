"""The shape of a collection, to pymilvus's schema and back from its description.

A shape is a plain Map, ``fields``, ``functions``, ``dynamic_fields``, as :class:`mlinfra.kinds.collection.Collection` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.kinds.collection_rules import function_outputs
from mlinfra.model.values import EMPTY, Map, thaw

_TYPES: Mapping[str, int] = {
    "bool": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "float": 10, "double": 11, "varchar": 21, "array": 22, "json": 23,
    "binary_vector": 100, "float_vector": 101, "float16_vector": 102, "bfloat16_vector": 103, "sparse_float_vector": 104,
    "int8_vector": 105,
}  # fmt: skip
_NAMES = {number: name for name, number in _TYPES.items()}


def build_schema(shape: Map, description: str) -> Any:
    """The ``pymilvus.CollectionSchema`` of a shape."""
    from pymilvus import DataType, Function, FunctionType, MilvusClient

    schema = MilvusClient.create_schema(enable_dynamic_field=bool(shape.get("dynamic_fields")), description=description)
    for name, field in shape["fields"].items():
        options: dict[str, Any] = {
            "is_primary": field.get("primary"),
            "auto_id": field.get("auto_id"),
            "max_length": field.get("max_length"),
            "dim": field.get("dim"),
            "nullable": field.get("nullable"),
            "default_value": field.get("default"),
            "is_partition_key": field.get("partition_key"),
            "is_clustering_key": field.get("clustering_key"),
            "max_capacity": field.get("max_capacity"),
            "description": field.get("description"),
            "enable_match": field.get("match"),
        }
        if field.get("element_type"):
            options["element_type"] = DataType(_TYPES[field["element_type"]])
        if analyzer := field.get("analyzer"):
            options["enable_analyzer"] = True
            if isinstance(analyzer, Mapping):
                options["analyzer_params"] = thaw(analyzer)
        schema.add_field(name, DataType(_TYPES[field["type"]]), **{k: v for k, v in options.items() if v is not None})
    for name, function in shape.get("functions", EMPTY).items():
        schema.add_function(
            Function(
                name=name,
                function_type=FunctionType[function["type"]],
                input_field_names=list(function["inputs"]),
                output_field_names=list(function["outputs"]),
            )
        )
    return schema


def described_fields(description: Mapping[str, Any]) -> Map:
    """The fields as the server tells them. Lite tells less than was asked: no descriptions, no clustering key, no lengths of
    array elements."""
    return Map({str(field["name"]): _described(field, description) for field in description["fields"]})


def _described(field: Mapping[str, Any], description: Mapping[str, Any]) -> Map:
    params: Mapping[str, Any] = field.get("params", EMPTY)
    found: dict[str, Any] = {"type": _NAMES.get(int(field["type"]), str(int(field["type"])))}
    if field.get("is_primary"):
        found["primary"] = True
        if field.get("auto_id") or description.get("auto_id"):
            found["auto_id"] = True
    for name, key in (("nullable", "nullable"), ("partition_key", "is_partition_key"), ("clustering_key", "is_clustering_key")):
        if field.get(key):
            found[name] = True
    for name in ("max_length", "dim", "max_capacity"):
        if name in params:
            found[name] = int(params[name])
    if field.get("element_type") and int(field["element_type"]) in _NAMES:
        found["element_type"] = _NAMES[int(field["element_type"])]
    if field.get("description"):
        found["description"] = field["description"]
    return Map(found)


def described_functions(description: Mapping[str, Any]) -> Map:
    return Map(
        {
            str(f["name"]): Map(
                type=getattr(f["type"], "name", str(f["type"])),
                inputs=tuple(f["input_field_names"]),
                outputs=tuple(f["output_field_names"]),
            )
            for f in description.get("functions", ())
        }
    )


def same_shape(asked: Map, told: Map) -> bool:
    """Whether the server's fields are those that were asked for, as far as the server tells: names, types, dimensions."""
    keys = ("type", "primary", "dim", "nullable")
    return asked.keys() == told.keys() and all(asked[n].get(k) == told[n].get(k) for n in asked for k in keys)


def copied_fields(old: Map, new: Map) -> tuple[str, ...] | str:
    """The fields whose values can be taken from rows of shape ``old`` into rows of shape ``new``; a sentence when a row cannot
    be made that way at all. What functions fill, and ids that the database gives, are made anew."""
    before: Map = old.get("fields", EMPTY)
    filled = function_outputs(new.get("functions", EMPTY))
    taken: list[str] = []
    for name, field in new["fields"].items():
        if name in filled or field.get("auto_id"):
            continue
        was = before.get(name)
        difference = _difference(was, field) if was is not None else f"field {name} is new"
        if not difference:
            taken.append(name)
        elif not field.get("nullable") and "default" not in field:
            return difference if was is None else f"field {name} changed {difference}"
    return tuple(taken)


def _difference(was: Map, now: Map) -> str:
    for key in ("type", "dim", "element_type"):
        if was.get(key) != now.get(key):
            return f"{key} from {was.get(key)} to {now.get(key)}"
    for key in ("max_length", "max_capacity"):
        if key in now and was.get(key, 0) > now[key]:
            return f"{key} from {was.get(key)} to {now[key]}"
    if was.get("nullable") and not now.get("nullable") and "default" not in now:
        return "to not nullable"
    return ""
