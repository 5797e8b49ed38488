"""What Milvus Lite (3.2) lacks of Milvus, so that a plan says it instead of a server that fails when the rows come.

Lite accepts any index type when an index is created and fails at the first load with rows; ``create_index`` with BM25 on a dense
field is accepted too. The lists here were found by running it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlinfra.model.values import EMPTY, Map, Path

_VECTOR_INDEXES = ("AUTOINDEX", "FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8")
_SPARSE_INDEXES = ("SPARSE_INVERTED_INDEX",)
_SCALAR_INDEXES = ("INVERTED",)
_INSTEAD: Mapping[str, str] = {
    "IVF_PQ": "IVF_SQ8",
    "IVF_RABITQ": "IVF_SQ8",
    "HNSW_PQ": "HNSW_SQ",
    "HNSW_PRQ": "HNSW_SQ",
    "DISKANN": "HNSW",
    "SCANN": "IVF_SQ8",
    "GPU_BRUTE_FORCE": "FLAT",
    "GPU_IVF_FLAT": "IVF_FLAT",
    "GPU_IVF_PQ": "IVF_SQ8",
    "GPU_CAGRA": "HNSW",
    "SPARSE_WAND": "SPARSE_INVERTED_INDEX",
    "TRIE": "INVERTED",
    "STL_SORT": "INVERTED",
    "BITMAP": "INVERTED",
}
_TYPES_INSTEAD: Mapping[str, str] = {
    "binary_vector": "a float_vector of zeros and ones",
    "float16_vector": "float_vector",
    "bfloat16_vector": "float_vector",
    "int8_vector": "float_vector",
}
_RESERVED = frozenset({"_seq", "_partition"})
_UNINDEXED = frozenset({"json", "array"})


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that Lite lacks: where the spec asks for it, a sentence, the nearest alternative."""

    path: Path
    sentence: str
    instead: str


def lacks(collection: Mapping[str, Any]) -> list[Lack]:
    """Everything in the collection that Lite cannot do. Takes the plain tree of the kind, indexes with their defaults."""
    fields: Mapping[str, Mapping[str, Any]] = collection.get("fields", EMPTY)
    return [*_fields(fields), *_indexes(collection.get("indexes", EMPTY), fields), *_rest(collection)]


def _fields(fields: Mapping[str, Mapping[str, Any]]) -> Iterator[Lack]:
    for name, field in fields.items():
        at: Path = ("fields", name)
        kind = str(field.get("type"))
        if kind in _TYPES_INSTEAD:
            yield Lack((*at, "type"), f"Milvus Lite has no {kind}", f"use {_TYPES_INSTEAD[kind]}, or another target")
        if field.get("auto_id") is True and kind == "varchar":
            yield Lack((*at, "auto_id"), "Milvus Lite gives ids of type int64 only", "make the primary key an int64")
        if name in _RESERVED or name.lower() in ("iso", "interval"):
            yield Lack(at, f"Milvus Lite keeps the name {name!r} for itself", "give the field another name")


def _indexes(indexes: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Mapping[str, Any]]) -> Iterator[Lack]:
    for name, index in indexes.items():
        at: Path = ("indexes", name)
        kind, type_ = fields.get(name, EMPTY).get("type"), index.get("type")
        if not isinstance(kind, str) or not isinstance(type_, str) or kind in _TYPES_INSTEAD:
            continue
        if kind == "sparse_float_vector":
            has: tuple[str, ...] = _SPARSE_INDEXES
        elif kind == "float_vector":
            has = _VECTOR_INDEXES
        elif kind in _UNINDEXED:
            yield Lack(at, f"Milvus Lite cannot index a {kind}", "leave the index out: filters work without it")
            continue
        else:
            has = _SCALAR_INDEXES
        if type_ not in has:
            near = _INSTEAD.get(type_, has[0])
            yield Lack((*at, "type"), f"Milvus Lite has no {type_}", f"use {near}, or another target")
            continue
        params = index.get("params", EMPTY)
        if isinstance(params, Mapping):
            yield from _sparse_params(params, at) if kind == "sparse_float_vector" else _dense_params(params, at)


def _dense_params(params: Mapping[str, Any], at: Path) -> Iterator[Lack]:
    if params.get("sq_type", "SQ8") != "SQ8":
        yield Lack((*at, "params", "sq_type"), "Milvus Lite quantizes to 8 bits only", "use SQ8, or leave sq_type out")
    if params.get("refine") is True:
        yield Lack((*at, "params", "refine"), "Milvus Lite does not refine", "leave refine out")


def _sparse_params(params: Mapping[str, Any], at: Path) -> Iterator[Lack]:
    if params.get("drop_ratio_build", 0) not in (0, 0.0):
        path = (*at, "params", "drop_ratio_build")
        yield Lack(path, "Milvus Lite drops nothing from sparse vectors", "leave drop_ratio_build out")
    if params.get("inverted_index_algo", "TAAT_NAIVE") != "TAAT_NAIVE":
        path = (*at, "params", "inverted_index_algo")
        yield Lack(path, "Milvus Lite has one algorithm for sparse vectors", "use TAAT_NAIVE, or leave it out")
    if params.get("bm25_k1", 1) == 0:
        yield Lack((*at, "params", "bm25_k1"), "Milvus Lite wants bm25_k1 above 0", "use 1.2")


def _rest(collection: Mapping[str, Any]) -> Iterator[Lack]:
    if isinstance(ttl := collection.get("properties", Map()).get("ttl"), (int, float)) and ttl:
        yield Lack(("properties", "ttl"), "Milvus Lite never expires rows", "delete old rows in the pipeline, or leave ttl out")
