"""Every mistake in a collection is found at plan time, all of them at once, each at its place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.kinds.collection import Collection, IndexType
from mlinfra.kinds.index_rules import INDEX_FIELDS, PARAMETERS
from mlinfra.model.values import UNKNOWN, Expr, Map, Ref, freeze
from mlinfra_milvus.resources.collection import Collection as NativeCollection

FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "int64", "primary": True},
    "text": {"type": "varchar", "max_length": 64},
    "embedding": {"type": "float_vector", "dim": 8},
}


def problems(properties: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    """Sentences by path."""
    try:
        Collection.model_validate({"database": Ref("vectors"), **freeze(properties)})
    except ValidationError as error:
        return {tuple(p["loc"]): p["msg"] for p in error.errors()}
    return {}


def with_field(**field: Any) -> dict[str, Any]:
    return {"fields": {**FIELDS, "x": field}}


def with_index(index: dict[str, Any], on: str = "embedding", **field: Any) -> dict[str, Any]:
    fields = {**FIELDS, on: field} if field else FIELDS
    return {"fields": fields, "indexes": {on: index}}


def test_a_good_collection_has_no_problems() -> None:
    assert problems({"fields": FIELDS, "indexes": {"embedding": {"type": "HNSW", "params": {"M": 16}}}, "alias": "live"}) == {}


@pytest.mark.parametrize(
    ("properties", "path", "sentence"),
    [
        ({"fields": {"e": {"type": "float_vector", "dim": 8}}}, ("fields",), "primary key"),
        ({"fields": {"id": {"type": "int64", "primary": True}}}, ("fields",), "at least one vector"),
        (with_field(type="int64", primary=True), ("fields", "x", "primary"), "'id' is it already"),
        ({"fields": {**FIELDS, "id": {"type": "int32", "primary": True}}}, ("fields", "id", "type"), "int64 or varchar"),
        ({"fields": {**FIELDS, "id": {**FIELDS["id"], "nullable": True}}}, ("fields", "id", "nullable"), "cannot be null"),
        ({"fields": {**FIELDS, "id": {**FIELDS["id"], "default": 1}}}, ("fields", "id", "default"), "no default"),
        (with_field(type="int64", auto_id=True), ("fields", "x", "auto_id"), "only the primary key"),
        (with_field(type="varchar"), ("fields", "x", "max_length"), "needs"),
        (with_field(type="varchar", max_length=0), ("fields", "x", "max_length"), "from 1 to 65,535"),
        (with_field(type="varchar", max_length=65_536), ("fields", "x", "max_length"), "from 1 to 65,535"),
        (with_field(type="int64", max_length=3), ("fields", "x", "max_length"), "no max_length"),
        (with_field(type="float_vector"), ("fields", "x", "dim"), "number of dimensions"),
        (with_field(type="float_vector", dim=1), ("fields", "x", "dim"), "from 2 to 32,768"),
        (with_field(type="float16_vector", dim=32_769), ("fields", "x", "dim"), "from 2 to 32,768"),
        (with_field(type="binary_vector", dim=12), ("fields", "x", "dim"), "multiple of 8"),
        (with_field(type="sparse_float_vector", dim=12), ("fields", "x", "dim"), "has no dim"),
        (with_field(type="float_vector", dim=8, nullable=True), ("fields", "x", "nullable"), "cannot be null"),
        (with_field(type="array", max_capacity=4), ("fields", "x", "element_type"), "type of its elements"),
        (with_field(type="array", element_type="int8"), ("fields", "x", "max_capacity"), "largest number"),
        (with_field(type="array", element_type="varchar", max_capacity=4), ("fields", "x", "max_length"), "array of varchar"),
        (with_field(type="array", element_type="int8", max_capacity=5000), ("fields", "x", "max_capacity"), "4,096"),
        (with_field(type="int8", max_capacity=4), ("fields", "x", "max_capacity"), "only arrays"),
        (with_field(type="int8", default=128), ("fields", "x", "default"), "128 is no int8"),
        (with_field(type="bool", default=1), ("fields", "x", "default"), "1 is no bool"),
        (with_field(type="varchar", max_length=2, default="long"), ("fields", "x", "default"), "longer than max_length"),
        (with_field(type="json", default={}), ("fields", "x", "default"), "no default"),
        (with_field(type="float", partition_key=True), ("fields", "x", "partition_key"), "int64 or varchar"),
        (with_field(type="json", clustering_key=True), ("fields", "x", "clustering_key"), "clustering key"),
        (with_field(type="int64", analyzer=True), ("fields", "x", "analyzer"), "only varchar"),
        (with_field(type="varchar", max_length=9, match=True), ("fields", "x", "match"), "analyzer: true"),
        ({"fields": {**FIELDS, "a b": {"type": "bool"}}}, ("fields", "a b"), "letters, digits"),
        ({"fields": {**FIELDS, "Timestamp": {"type": "bool"}}}, ("fields", "Timestamp"), "keeps for itself"),
        ({"fields": FIELDS, "indexes": {"nope": {}}}, ("indexes", "nope"), "embedding, id, text"),
        (with_index({"type": "BIN_FLAT"}), ("indexes", "embedding", "type"), "cannot index a float_vector"),
        (with_index({"metric": "HAMMING"}), ("indexes", "embedding", "metric"), "COSINE, L2, IP"),
        (with_index({"type": "HNSW", "params": {"M": 1}}), ("indexes", "embedding", "params", "M"), "from 2 to 2,048"),
        (with_index({"type": "HNSW", "params": {"m": 4}}), ("indexes", "embedding", "params", "m"), "M, efConstruction"),
        (with_index({"type": "FLAT", "params": {"a": 4}}), ("indexes", "embedding", "params", "a"), "it has none"),
        (with_index({"type": "IVF_FLAT", "params": {"nlist": 0}}), ("indexes", "embedding", "params", "nlist"), "65,536"),
        (with_index({"type": "IVF_PQ", "params": {"m": 3}}), ("indexes", "embedding", "params", "m"), "8 dimensions"),
        (with_index({"type": "IVF_PQ"}), ("indexes", "embedding", "params"), "needs m"),
        (with_index({"metric": "BM25"}, "x", type="sparse_float_vector"), ("indexes", "x", "metric"), "needs a function"),
        (with_index({"metric": "L2"}, "x", type="int64"), ("indexes", "x", "metric"), "has no metric"),
        (with_index({"type": "TRIE"}, "x", type="int64"), ("indexes", "x", "type"), "INVERTED"),
        (with_index({"type": "INVERTED"}, "x", type="json"), ("indexes", "x", "params"), "json_"),
        ({"fields": FIELDS, "partitions": ["a", "a"]}, ("partitions", 1), "named twice"),
        ({"fields": FIELDS, "partitions": ["_default"]}, ("partitions", 0), "always there"),
        ({"fields": FIELDS, "num_partitions": 4}, ("num_partitions",), "partition_key: true"),
        ({"fields": FIELDS, "shards": 17}, ("shards",), "from 1 to 16"),
        ({"fields": FIELDS, "name": "a-b"}, ("name",), "letters, digits"),
        ({"fields": FIELDS, "name": "a", "alias": "a"}, ("alias",), "like the collection"),
        ({"fields": FIELDS, "properties": {"ttl": "1500ms"}}, ("properties", "ttl"), "whole number of seconds"),
    ],
)
def test_a_mistake_is_told_at_its_place(properties: dict[str, Any], path: tuple[Any, ...], sentence: str) -> None:
    found = problems(properties)
    assert path in found, found
    assert sentence in found[path]


def test_partitions_of_ones_own_and_a_partition_key_exclude_each_other() -> None:
    found = problems({**with_field(type="int64", partition_key=True), "partitions": ["a"]})
    assert "makes its own partitions" in found[("partitions",)]


def test_a_function_needs_words_to_read_and_a_sparse_field_to_fill() -> None:
    function = {"type": "BM25", "inputs": ["text"], "outputs": ["embedding"]}
    found = problems({"fields": FIELDS, "functions": {"f": function}})
    assert set(found) == {("fields", "text", "analyzer"), ("functions", "f", "outputs", 0)}


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(
        {
            "fields": {**FIELDS, "x": {"type": "varchar"}, "y": {"type": "float_vector"}},
            "indexes": {"embedding": {"metric": "JACCARD"}},
            "shards": 0,
        }
    )
    assert set(found) == {("fields", "x", "max_length"), ("fields", "y", "dim"), ("indexes", "embedding", "metric"), ("shards",)}


def test_a_value_that_is_not_known_yet_is_no_mistake() -> None:
    later = Ref("other", ("output",))
    fields = {**FIELDS, "embedding": {"type": "float_vector", "dim": later}, "x": {"type": "varchar", "max_length": UNKNOWN}}
    index = {"type": "IVF_PQ", "params": {"m": later, "nlist": Expr("${a.b}", ())}}
    assert problems({"fields": fields, "indexes": {"embedding": index}, "shards": later, "partitions": [later]}) == {}


def test_every_index_type_that_can_be_written_has_rules() -> None:
    written = set(IndexType.__args__[0].__args__)  # type: ignore[attr-defined]
    assert written == set(INDEX_FIELDS)
    assert set(PARAMETERS) <= written


def test_a_native_collection_is_held_to_the_same_rules() -> None:
    kind = NativeCollection()
    good = Map(uri=UNKNOWN, name="a", fields=freeze(FIELDS), indexes=UNKNOWN, status="loaded")
    assert kind.validate(good) == []
    too_short = freeze({**FIELDS, "text": {"type": "varchar"}})
    assert [path for path, _ in kind.validate(Map({**good, "fields": too_short, "indexes": Map()}))] == [
        ("fields", "text", "max_length")
    ]
    assert [path for path, _ in kind.validate(Map({**good, "shards": "two"}))] == [("shards",)]
