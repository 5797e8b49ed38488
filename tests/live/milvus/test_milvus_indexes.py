"""Every index type and metric that Lite has works on rows; what a plan refuses, Lite cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from live.milvus.world import World, rows, spec

from mlinfra.kinds.index_rules import INDEX_FIELDS
from mlinfra.provider.contract import LoweringError

pytestmark = pytest.mark.live

PARAMS: Mapping[str, dict[str, Any]] = {
    "HNSW": {"M": 8, "efConstruction": 32},
    "HNSW_SQ": {"M": 8, "efConstruction": 32, "sq_type": "SQ8"},
    "IVF_FLAT": {"nlist": 4},
    "IVF_SQ8": {"nlist": 4},
}
DENSE = ("AUTOINDEX", "FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8")
LACKING = sorted(t for t, kinds in INDEX_FIELDS.items() if "float_vector" in kinds and t not in DENSE)
SCALARS = ("bool", "int8", "int16", "int32", "int64", "float", "double", "varchar")


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
@pytest.mark.parametrize("type_", DENSE)
def test_a_dense_index_of_lite_finds_the_nearest_row(world: World, app: Any, base: str, type_: str, metric: str) -> None:
    index = {"type": type_, "metric": metric, **({"params": PARAMS[type_]} if type_ in PARAMS else {})}
    world.apply(spec(name=base, indexes={"embedding": index}))
    app.insert(base, rows(200))
    app.flush(base)
    app.release_collection(base)
    world.apply(spec(name=base, indexes={"embedding": index}))
    found = app.search(base, [[1.0, 0.995, 0.5, 0.5]], limit=1, search_params={"params": {"nprobe": 4, "ef": 200}})
    assert found[0][0]["id"] in (198, 199)
    read = world.read()
    assert read is not None and read.attributes["indexes"]["embedding"] == index


@pytest.mark.parametrize("type_", LACKING)
def test_an_index_that_the_plan_refuses_cannot_be_loaded_by_lite(world: World, app: Any, base: str, type_: str) -> None:
    index = {"type": type_, "metric": "L2", **({"params": {"m": 2}} if type_ in ("IVF_PQ", "GPU_IVF_PQ") else {})}
    with pytest.raises(LoweringError, match=f"has no {type_}") as refused:
        world.apply(spec(name=base, indexes={"embedding": index}))
    assert "or another target" in refused.value.diagnostics[0].hint
    world.apply(spec(name=base))
    app.insert(base, rows(20))
    app.flush(base)
    app.release_collection(base)
    app.drop_index(base, "embedding")
    wanted = app.prepare_index_params()
    wanted.add_index("embedding", index_type=type_, metric_type="L2", params=index.get("params", {}))
    with pytest.raises(Exception, match=r"index_type|released|load"):
        app.create_index(base, wanted)
        app.release_collection(base)
        app.load_collection(base)
    app.drop_collection(base)


def test_a_sparse_index_searches_by_inner_product(world: World, app: Any, base: str) -> None:
    fields = {"id": {"type": "int64", "primary": True}, "words": {"type": "sparse_float_vector"}}
    world.apply({"name": base, "fields": fields, "indexes": {"words": {"params": {"inverted_index_algo": "TAAT_NAIVE"}}}})
    app.insert(base, [{"id": i, "words": {i: 1.0, 500: 0.1}} for i in range(20)])
    assert app.search(base, [{7: 1.0}], anns_field="words", limit=1)[0][0]["id"] == 7


@pytest.mark.parametrize("type_", SCALARS)
def test_a_scalar_field_is_indexed(world: World, app: Any, base: str, type_: str) -> None:
    value: Any = {"bool": True, "varchar": "x"}.get(type_, 1)
    wanted = spec(name=base)
    wanted["fields"]["label"] = {"type": type_, **({"max_length": 8} if type_ == "varchar" else {})}
    wanted["indexes"] = {"label": {"type": "INVERTED"}}
    world.apply(wanted)
    app.insert(base, [{**r, "label": value} for r in rows(20)])
    app.flush(base)
    literal = {"bool": "true", "varchar": '"x"'}.get(type_, "1")
    assert len(app.query(base, filter=f"label == {literal}", output_fields=["id"])) == 20


@pytest.mark.parametrize(
    ("field", "index", "instead"),
    [
        ({"type": "binary_vector", "dim": 8}, {}, "float_vector"),
        ({"type": "float16_vector", "dim": 8}, {}, "float_vector"),
        ({"type": "bfloat16_vector", "dim": 8}, {}, "float_vector"),
        ({"type": "int8_vector", "dim": 8}, {}, "float_vector"),
        ({"type": "sparse_float_vector"}, {"type": "SPARSE_WAND"}, "SPARSE_INVERTED_INDEX"),
        ({"type": "varchar", "max_length": 8}, {"type": "TRIE"}, "INVERTED"),
        ({"type": "int32"}, {"type": "STL_SORT"}, "INVERTED"),
        ({"type": "bool"}, {"type": "BITMAP"}, "INVERTED"),
        ({"type": "json"}, {"params": {"json_path": "$.a", "json_cast_type": "double"}}, "leave the index out"),
    ],
)
def test_what_lite_lacks_is_refused_with_the_nearest_alternative(
    world: World, base: str, field: dict[str, Any], index: dict[str, Any], instead: str
) -> None:
    wanted = spec(name=base)
    wanted["fields"]["other"] = field
    wanted["indexes"] = {"other": index} if index else {}
    with pytest.raises(LoweringError) as refused:
        world.apply(wanted)
    assert instead in refused.value.diagnostics[0].hint
    assert "other" in refused.value.diagnostics[0].path
