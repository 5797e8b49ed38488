"""What Milvus demands of a collection: types, limits, which index suits which field, and the ranges of index parameters.

The source is Milvus's documentation and its proxy's own checks (``internal/proxy/util.go``, ``pkg/util/indexparamcheck``);
Milvus Lite lets most of it through and fails when rows come. Trees are plain: Maps as :meth:`Collection.given` gives them, or a
native resource's attributes. A deferred leaf is never a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.index_rules import default_index, index_problems
from mlinfra.model.patterns import pattern
from mlinfra.model.values import EMPTY, Map, Path

Problem = tuple[Path, str]

NAME = pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z")
RESERVED = frozenset({"$meta", "RowID", "Timestamp", "$namespace_id"})
INTEGERS: Mapping[str, int] = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
DENSE = frozenset({"float_vector", "float16_vector", "bfloat16_vector", "int8_vector"})
VECTORS = DENSE | {"binary_vector", "sparse_float_vector"}
MAX_FIELDS = 64
MAX_VECTORS = 10
MAX_DIM = 32_768
MAX_LENGTH = 65_535
MAX_CAPACITY = 4_096
MAX_PARTITIONS = 4_096
MAX_SHARDS = 16


def problems(collection: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the collection: the path of the value at fault and a sentence."""
    fields: Mapping[str, Mapping[str, Any]] = collection.get("fields", EMPTY)
    if is_deferred(fields):
        return []
    functions = collection.get("functions", EMPTY)
    return [
        *_names(collection),
        *_fields(fields),
        *_functions(functions, fields),
        *index_problems(collection.get("indexes", EMPTY), fields, function_outputs(functions)),
        *_partitions(collection, fields),
        *_numbers(collection),
    ]


def with_default_indexes(collection: Mapping[str, Any]) -> Map:
    """The indexes as they will be made: those asked for, with their defaults filled in, and one for every other vector field."""
    fields = collection.get("fields", EMPTY)
    asked = collection.get("indexes", EMPTY)
    filled = function_outputs(collection.get("functions", EMPTY))
    made: dict[str, Map] = {}
    for name, field in fields.items():
        if name in asked or field.get("type") in VECTORS:
            made[name] = Map({**default_index(field, name in filled), **asked.get(name, EMPTY)})
    return Map(made)


def function_outputs(functions: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The fields that functions fill."""
    return frozenset(o for f in functions.values() for o in f.get("outputs", ()) if not is_deferred(o))


def _names(collection: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("name", "alias"):
        value = collection.get(key)
        if isinstance(value, str):
            yield from _name_problem(value, (key,), key)
    alias = collection.get("alias")
    if isinstance(alias, str) and alias == collection.get("name"):
        yield ("alias",), "the alias cannot be called like the collection itself"


def _name_problem(name: str, path: Path, what: str) -> Iterator[Problem]:
    if not NAME.match(name):
        yield path, f"{what} {name!r} may hold only letters, digits and underscores, and not begin with a digit"
    elif len(name) > 255:
        yield path, f"{what} has {len(name)} characters; at most 255 are allowed"


def _fields(fields: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    at: Path = ("fields",)
    primary = [n for n, f in fields.items() if f.get("primary") is True]
    unsure = any(is_deferred(f.get("primary")) for f in fields.values())
    if not primary and not unsure:
        yield at, "one field must be the primary key: give an int64 or varchar field primary: true"
    for extra in primary[1:]:
        yield (*at, extra, "primary"), f"there is one primary key, and {primary[0]!r} is it already"
    for key, sentence in (("partition_key", "partition key"), ("clustering_key", "clustering key")):
        for extra in [n for n, f in fields.items() if f.get(key) is True][1:]:
            yield (*at, extra, key), f"there can be one {sentence} only"
    types = [f.get("type") for f in fields.values()]
    if not any(t in VECTORS for t in types) and not any(is_deferred(t) for t in types):
        yield at, "a collection needs at least one vector field"
    if sum(t in VECTORS for t in types) > MAX_VECTORS:
        yield at, f"there are more than {MAX_VECTORS} vector fields"
    if len(fields) > MAX_FIELDS:
        yield at, f"there are {len(fields)} fields; at most {MAX_FIELDS} are allowed"
    for name, field in fields.items():
        path = (*at, name)
        if name in RESERVED:
            yield path, f"{name!r} is a name that Milvus keeps for itself"
        else:
            yield from _name_problem(name, path, "field")
        if not is_deferred(field.get("type")):
            yield from _field(field, path)


def _field(field: Mapping[str, Any], at: Path) -> Iterator[Problem]:
    kind = str(field.get("type"))
    yield from _size(field, at, kind)
    yield from _key_roles(field, at, kind)
    if field.get("nullable") is True:
        if field.get("primary") is True:
            yield (*at, "nullable"), "the primary key cannot be null"
        elif field.get("partition_key") is True:
            yield (*at, "nullable"), "the partition key cannot be null"
        elif kind in VECTORS:
            yield (*at, "nullable"), "a vector field cannot be null"
    if kind != "varchar":
        for key in ("analyzer", "match"):
            if field.get(key) not in (None, False):
                yield (*at, key), f"only varchar fields have {key!r}, not {kind}"
    elif field.get("match") is True and not field.get("analyzer"):
        yield (*at, "match"), "matching text needs analyzer: true on the same field"
    if "default" in field:
        yield from _default(field, at, kind)


def _size(field: Mapping[str, Any], at: Path, kind: str) -> Iterator[Problem]:
    if kind in DENSE:
        yield from _range(field, at, "dim", 2, MAX_DIM, required=f"a {kind} needs its number of dimensions")
    elif kind == "binary_vector":
        yield from _range(field, at, "dim", 8, 8 * MAX_DIM, required="a binary_vector needs its number of bits")
        if isinstance(field.get("dim"), int) and field["dim"] % 8:
            yield (*at, "dim"), f"the bits of a binary_vector come in bytes: {field['dim']} is no multiple of 8"
    elif "dim" in field:
        yield (*at, "dim"), f"a {kind} has no dim"
    text = kind == "varchar" or (kind == "array" and field.get("element_type") == "varchar")
    if text:
        whose = "a varchar" if kind == "varchar" else "an array of varchar"
        yield from _range(field, at, "max_length", 1, MAX_LENGTH, required=f"{whose} needs the longest text's length in bytes")
    elif "max_length" in field and not is_deferred(field.get("element_type")):
        yield (*at, "max_length"), f"a {kind} has no max_length"
    if kind == "array":
        yield from _range(field, at, "max_capacity", 1, MAX_CAPACITY, required="an array needs its largest number of elements")
        if "element_type" not in field:
            yield (*at, "element_type"), "an array needs the type of its elements"
    else:
        for key in ("element_type", "max_capacity"):
            if key in field:
                yield (*at, key), f"only arrays have {key}, not {kind}"


def _key_roles(field: Mapping[str, Any], at: Path, kind: str) -> Iterator[Problem]:
    if field.get("primary") is True and kind not in ("int64", "varchar"):
        yield (*at, "type"), f"the primary key must be int64 or varchar, not {kind}"
    if field.get("auto_id") is True and not field.get("primary"):
        yield (*at, "auto_id"), "only the primary key can be given by the database (auto_id)"
    if field.get("partition_key") is True:
        if field.get("primary") is True:
            yield (*at, "partition_key"), "the primary key cannot be the partition key too"
        elif kind not in ("int64", "varchar"):
            yield (*at, "partition_key"), f"the partition key must be int64 or varchar, not {kind}"
    if field.get("clustering_key") is True and kind not in {*INTEGERS, "float", "double", "varchar", "float_vector"}:
        yield (*at, "clustering_key"), f"a {kind} cannot be the clustering key"


def _default(field: Mapping[str, Any], at: Path, kind: str) -> Iterator[Problem]:
    path, value = (*at, "default"), field["default"]
    if is_deferred(value):
        return
    if kind in VECTORS or kind in ("json", "array"):
        yield path, f"a {kind} field can have no default"
    elif field.get("primary") is True:
        yield path, "the primary key can have no default"
    elif not _DEFAULTS[kind](value):
        yield path, f"{value!r} is no {kind}"
    elif kind == "varchar" and isinstance(field.get("max_length"), int) and len(value.encode()) > field["max_length"]:
        yield path, f"the default is longer than max_length ({field['max_length']} bytes)"


def _is_integer(bits: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and -(2**bits) <= v < 2**bits


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_DEFAULTS: Mapping[str, Callable[[Any], bool]] = {
    "bool": lambda v: isinstance(v, bool),
    "varchar": lambda v: isinstance(v, str),
    "float": _is_number,
    "double": _is_number,
    **{name: _is_integer(bits) for name, bits in INTEGERS.items()},
}


def _functions(functions: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, function in functions.items():
        at: Path = ("functions", name)
        inputs, outputs = function.get("inputs", ()), function.get("outputs", ())
        for key, values in (("inputs", inputs), ("outputs", outputs)):
            if len(values) != 1:
                yield (*at, key), f"BM25 has exactly one field in {key}, not {len(values)}"
        for index, field in enumerate(inputs):
            yield from _function_field(fields, field, (*at, "inputs", index), "varchar")
            if fields.get(field, EMPTY).get("type") == "varchar" and not fields[field].get("analyzer"):
                yield ("fields", field, "analyzer"), f"function {name} reads the words of this field: it needs analyzer: true"
        for index, field in enumerate(outputs):
            yield from _function_field(fields, field, (*at, "outputs", index), "sparse_float_vector")
            if field in seen:
                yield (*at, "outputs", index), f"field {field!r} is filled by another function already"
            seen.add(field)


def _function_field(fields: Mapping[str, Mapping[str, Any]], name: Any, path: Path, wanted: str) -> Iterator[Problem]:
    if is_deferred(name):
        return
    if name not in fields:
        yield path, f"there is no field {name!r}; the fields are {_listed(fields)}"
    elif fields[name].get("type") != wanted and not is_deferred(fields[name].get("type")):
        yield path, f"field {name!r} must be a {wanted}, not {fields[name].get('type')}"


def _partitions(collection: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    partitions = collection.get("partitions", ())
    if is_deferred(partitions):
        return
    keyed = any(f.get("partition_key") is True for f in fields.values())
    if partitions and keyed:
        yield ("partitions",), "a collection with a partition key makes its own partitions; use num_partitions"
    if len(partitions) > MAX_PARTITIONS:
        yield ("partitions",), f"there are {len(partitions)} partitions; at most {MAX_PARTITIONS} are allowed"
    seen: set[str] = set()
    for index, name in enumerate(partitions):
        if is_deferred(name):
            continue
        path: Path = ("partitions", index)
        yield from _name_problem(name, path, "partition")
        if name == "_default":
            yield path, "the partition _default is always there; leave it out"
        elif name in seen:
            yield path, f"partition {name!r} is named twice"
        seen.add(name)
    if "num_partitions" in collection and not keyed and not any(is_deferred(f.get("partition_key")) for f in fields.values()):
        yield ("num_partitions",), "num_partitions needs a field with partition_key: true"


def _numbers(collection: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _range(collection, (), "num_partitions", 1, MAX_PARTITIONS)
    yield from _range(collection, (), "shards", 1, MAX_SHARDS)
    ttl = collection.get("properties", EMPTY).get("ttl")
    if _is_number(ttl) and ttl < 0:
        yield ("properties", "ttl"), "a time to live cannot be negative"
    elif _is_number(ttl) and ttl != round(ttl):
        yield ("properties", "ttl"), "a time to live is a whole number of seconds"


def _range(tree: Mapping[str, Any], at: Path, key: str, low: int, high: int, *, required: str = "") -> Iterator[Problem]:
    value = tree.get(key)
    if value is None:
        if required:
            yield (*at, key), f"{required}: {key}"
    elif not is_deferred(value) and (not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high):
        yield (*at, key), f"{key} must be a whole number from {low:,} to {high:,}, not {value!r}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
