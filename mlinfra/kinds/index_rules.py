"""Which index and metric suit which field, and the ranges of their parameters, as Milvus documents them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlinfra.kinds.base import is_deferred
from mlinfra.model.values import EMPTY, Map, Path

Problem = tuple[Path, str]

_FLOATS = frozenset({"float_vector", "float16_vector", "bfloat16_vector"})
_GRAPH = _FLOATS | {"int8_vector"}
_FLOAT_ONLY = frozenset({"float_vector"})
_BINARY = frozenset({"binary_vector"})
_SPARSE = frozenset({"sparse_float_vector"})
_VECTORS = _GRAPH | _BINARY | _SPARSE
_NUMBERS = frozenset({"int8", "int16", "int32", "int64", "float", "double"})
_SCALARS = _NUMBERS | {"bool", "varchar", "array", "json"}

_DENSE_METRICS = ("COSINE", "L2", "IP")
_METRICS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_GRAPH, _DENSE_METRICS),
    "binary_vector": ("HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE"),
    "sparse_float_vector": ("IP", "BM25"),
}

INDEX_FIELDS: Mapping[str, frozenset[str]] = {
    "AUTOINDEX": _VECTORS | _SCALARS,
    "FLAT": _FLOATS,
    "IVF_FLAT": _FLOATS,
    "IVF_SQ8": _FLOATS,
    "IVF_PQ": _FLOATS,
    "IVF_RABITQ": _FLOATS,
    "HNSW": _GRAPH,
    "HNSW_SQ": _GRAPH,
    "HNSW_PQ": _GRAPH,
    "HNSW_PRQ": _GRAPH,
    "DISKANN": _FLOATS,
    "SCANN": _FLOATS,
    "GPU_BRUTE_FORCE": _FLOAT_ONLY,
    "GPU_IVF_FLAT": _FLOAT_ONLY,
    "GPU_IVF_PQ": _FLOAT_ONLY,
    "GPU_CAGRA": _FLOAT_ONLY,
    "BIN_FLAT": _BINARY,
    "BIN_IVF_FLAT": _BINARY,
    "SPARSE_INVERTED_INDEX": _SPARSE,
    "SPARSE_WAND": _SPARSE,
    "INVERTED": _SCALARS,
    "TRIE": frozenset({"varchar"}),
    "STL_SORT": _NUMBERS | {"varchar"},
    "BITMAP": frozenset({"bool", "int8", "int16", "int32", "int64", "varchar", "array"}),
}
"""Index type → the field types that it can index."""

Check = Callable[[Any, Mapping[str, Any]], str]
"""Looks at a parameter's value and its field; ``""`` or what it must be."""


def _whole(low: int, high: int) -> Check:
    def check(value: Any, field: Mapping[str, Any]) -> str:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return "" if good else f"must be a whole number from {low:,} to {high:,}"

    return check


def _share(low: float, high: float, *, below: bool = False) -> Check:
    def check(value: Any, field: Mapping[str, Any]) -> str:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        good = number and low <= value and (value < high if below else value <= high)
        return "" if good else f"must be a number from {low:g} to {'below ' if below else ''}{high:g}"

    return check


def _one_of(*choices: Any) -> Check:
    def check(value: Any, field: Mapping[str, Any]) -> str:
        return "" if value in choices and type(value) in {type(c) for c in choices} else f"must be one of {_listed(choices)}"

    return check


def _text(value: Any, field: Mapping[str, Any]) -> str:
    return "" if isinstance(value, str) and value else "must be a text"


def _divides_dim(value: Any, field: Mapping[str, Any]) -> str:
    wrong = _whole(1, 65_536)(value, field)
    dim = field.get("dim")
    if wrong or not isinstance(dim, int):
        return wrong
    return f"must divide the field's {dim} dimensions without a rest" if dim % value else ""


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(str(c).lower() if isinstance(c, bool) else str(c) for c in choices)


_BOOL = _one_of(True, False)
_LIST = {"nlist": _whole(1, 65_536)}
_PQ = {"m": _divides_dim, "nbits": _whole(1, 24)}
_LINKS = {"M": _whole(2, 2048), "efConstruction": _whole(1, 2**31 - 1)}
_REFINE = {"refine": _BOOL, "refine_type": _one_of("SQ6", "SQ8", "BF16", "FP16", "FP32")}
_DROP = {"drop_ratio_build": _share(0, 1, below=True)}
_CACHE = {"cache_dataset_on_device": _one_of("true", "false", True, False)}

PARAMETERS: Mapping[str, Mapping[str, Check]] = {
    "IVF_FLAT": _LIST,
    "IVF_SQ8": _LIST,
    "IVF_PQ": {**_LIST, **_PQ},
    "IVF_RABITQ": {**_LIST, **_REFINE},
    "HNSW": _LINKS,
    "HNSW_SQ": {**_LINKS, **_REFINE, "sq_type": _one_of("SQ4U", "SQ6", "SQ8", "BF16", "FP16")},
    "HNSW_PQ": {**_LINKS, **_PQ, **_REFINE},
    "HNSW_PRQ": {**_LINKS, **_PQ, **_REFINE, "nrq": _whole(1, 16)},
    "DISKANN": {"max_degree": _whole(1, 512), "search_list_size": _whole(1, 2**31 - 1)},
    "SCANN": {**_LIST, "with_raw_data": _BOOL},
    "GPU_IVF_FLAT": {**_LIST, **_CACHE},
    "GPU_IVF_PQ": {**_LIST, **_PQ, **_CACHE},
    "GPU_CAGRA": {
        **_CACHE,
        "intermediate_graph_degree": _whole(1, 2**31 - 1),
        "graph_degree": _whole(1, 2**31 - 1),
        "build_algo": _one_of("IVF_PQ", "NN_DESCENT"),
        "adapt_for_cpu": _one_of("true", "false", True, False),
    },
    "BIN_IVF_FLAT": _LIST,
    "SPARSE_INVERTED_INDEX": {
        **_DROP,
        "inverted_index_algo": _one_of("DAAT_MAXSCORE", "DAAT_WAND", "TAAT_NAIVE"),
        "bm25_k1": _share(0, 3),
        "bm25_b": _share(0, 1),
    },
    "SPARSE_WAND": {**_DROP, "bm25_k1": _share(0, 3), "bm25_b": _share(0, 1)},
    "INVERTED": {"json_path": _text, "json_cast_type": _one_of("bool", "double", "varchar")},
}
"""Index type → its build parameters; a type that is not named has none."""


def default_index(field: Mapping[str, Any], filled_by_function: bool) -> Map:
    """The index of a field when nothing, or not everything, is said. SPARSE_INVERTED_INDEX for sparse vectors, because Lite has
    no AUTOINDEX for them."""
    kind = field.get("type")
    if kind == "sparse_float_vector":
        return Map(type="SPARSE_INVERTED_INDEX", metric="BM25" if filled_by_function else "IP")
    if kind == "binary_vector":
        return Map(type="BIN_FLAT", metric="HAMMING")
    if kind in _VECTORS:
        return Map(type="AUTOINDEX", metric="COSINE")
    return Map(type="INVERTED")


def index_problems(
    indexes: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Mapping[str, Any]], filled: frozenset[str]
) -> Iterator[Problem]:
    """What is wrong with the indexes; ``filled`` are the fields that functions fill."""
    for name, index in indexes.items():
        at: Path = ("indexes", name)
        if name not in fields:
            yield at, f"there is no field {name!r}; the fields are {_listed(tuple(sorted(fields)))}"
            continue
        field = fields[name]
        full = {**default_index(field, name in filled), **index}
        if not is_deferred(field.get("type")) and not is_deferred(full["type"]):
            yield from _one(full, field, at, name in filled)


def _one(index: Mapping[str, Any], field: Mapping[str, Any], at: Path, filled: bool) -> Iterator[Problem]:
    kind, type_ = field["type"], index["type"]
    if kind not in INDEX_FIELDS.get(type_, frozenset()):
        suited = tuple(t for t, kinds in INDEX_FIELDS.items() if kind in kinds)
        yield (*at, "type"), f"{type_} cannot index a {kind}; these can: {_listed(suited)}"
        return
    yield from _metric(index.get("metric"), kind, type_, at, filled)
    params = index.get("params", EMPTY)
    if is_deferred(params):
        return
    known = PARAMETERS.get(type_, EMPTY)
    for key, value in params.items():
        if key not in known:
            what = f"it has {_listed(tuple(sorted(known)))}" if known else "it has none"
            yield (*at, "params", key), f"{type_} has no parameter {key!r}; {what}"
        elif not is_deferred(value) and (wrong := known[key](value, field)):
            yield (*at, "params", key), f"{key} {wrong}, not {value!r}"
    if kind == "json" and type_ == "INVERTED":
        for key in ("json_path", "json_cast_type"):
            if key not in params:
                yield (*at, "params"), f"an index on json needs {key}"
    if "m" in known and "m" not in params and not type_.startswith("HNSW"):
        yield (*at, "params"), f"{type_} needs m, the number of parts that a vector is cut into"


def _metric(metric: Any, kind: str, type_: str, at: Path, filled: bool) -> Iterator[Problem]:
    path = (*at, "metric")
    if is_deferred(metric):
        return
    if kind not in _METRICS:
        if metric is not None:
            yield path, f"an index on a {kind} has no metric"
        return
    allowed = _METRICS[kind]
    if kind == "sparse_float_vector":
        allowed = ("BM25",) if filled else ("IP",)
    elif type_ == "BIN_IVF_FLAT":
        allowed = ("HAMMING", "JACCARD")
    if metric not in allowed:
        why = " (BM25 needs a function that fills the field)" if metric == "BM25" and kind == "sparse_float_vector" else ""
        yield path, f"{type_} on a {kind} measures by {_listed(allowed)}, not by {metric}{why}"
