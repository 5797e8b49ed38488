"""``milvus.collection`` against a running server: what is asked for stands there, changes in place, and is known to be ours."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from live.milvus.world import TYPES, World, lowered, rows, spec, unique

from mlinfra.model.change import RiskLevel
from mlinfra.model.resource import Desired, Observed
from mlinfra.model.values import Map, freeze
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra_milvus.resources.collection import FILLING

pytestmark = pytest.mark.live
COLLECTION = TYPES["milvus.collection"]

EVERY_TYPE = {
    "fields": {
        "id": {"type": "varchar", "max_length": 32, "primary": True},
        "flag": {"type": "bool", "nullable": True},
        "tiny": {"type": "int8", "default": 3},
        "small": {"type": "int16", "nullable": True},
        "medium": {"type": "int32", "description": "an ordinary number"},
        "large": {"type": "int64", "partition_key": True},
        "single": {"type": "float", "default": 0.5},
        "exact": {"type": "double"},
        "text": {"type": "varchar", "max_length": 200, "analyzer": True, "match": True},
        "facts": {"type": "json", "nullable": True},
        "tags": {"type": "array", "element_type": "varchar", "max_length": 20, "max_capacity": 8},
        "embedding": {"type": "float_vector", "dim": 4},
        "second": {"type": "float_vector", "dim": 2},
        "words": {"type": "sparse_float_vector"},
    },
    "functions": {"bm25": {"type": "BM25", "inputs": ["text"], "outputs": ["words"]}},
    "indexes": {"embedding": {"type": "HNSW", "metric": "L2"}, "large": {}},
    "num_partitions": 4,
    "dynamic_fields": True,
    "consistency": "strong",
    "shards": 2,
    "properties": {"mmap": True},
}


def test_what_was_asked_for_is_what_is_read(world: World, base: str, app: Any) -> None:
    world.apply({**EVERY_TYPE, "name": base})
    read = world.read()
    assert read is not None and read.attributes == world.recorded["tickets"].attributes
    assert read.attributes["status"] == "loaded"
    assert read.attributes["indexes"]["words"] == {"type": "SPARSE_INVERTED_INDEX", "metric": "BM25"}
    assert read.attributes["indexes"]["large"] == {"type": "INVERTED"}
    app.insert(base, [{
        "id": "a", "medium": 1, "large": 2, "exact": 1.5, "text": "the printer is on fire", "tags": ["x"], "facts": {"a": 1},
        "embedding": [1, 0, 0, 0], "second": [0, 1], "beside": "dynamic",
    }])  # fmt: skip
    by_words = app.search(base, ["printer"], anns_field="words", limit=1, output_fields=["tiny", "beside"])
    assert by_words[0][0]["entity"] == {"tiny": 3, "beside": "dynamic"}
    assert app.search(base, [[0, 1]], anns_field="second", limit=1)[0][0]["id"] == "a"


def test_applying_again_changes_nothing(any_world: World, base: str) -> None:
    wanted = spec(name=base, partitions=["en", "de"], properties={"ttl": 3600} if any_world.engine == "milvus" else {})
    any_world.apply(wanted)
    first = any_world.recorded["tickets"]
    any_world.said.clear()
    any_world.apply(wanted)
    assert any_world.recorded["tickets"].attributes == first.attributes
    assert any_world.said == []


def test_partitions_come_and_go_in_place(any_world: World, base: str, any_app: Any) -> None:
    any_world.apply(spec(name=base, partitions=["en", "de"]))
    any_app.insert(base, rows(3), partition_name="en")
    any_world.apply(spec(name=base, partitions=["en", "fr"]))
    assert set(any_app.list_partitions(base)) == {"_default", "en", "fr"}
    assert any_app.query(base, filter="", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"] == 3


def test_without_an_alias_an_index_changes_in_place_and_rows_stay(any_world: World, base: str, any_app: Any) -> None:
    any_world.apply(spec(name=base))
    any_app.insert(base, rows(20))
    any_app.flush(base)
    made = any_world.recorded["tickets"].id
    any_world.apply(spec(name=base, indexes={"embedding": {"type": "IVF_FLAT", "metric": "L2", "params": {"nlist": 4}}}))
    assert any_world.recorded["tickets"].id == made
    assert any_app.describe_index(base, "embedding")["index_type"] == "IVF_FLAT"
    assert any_app.search(base, [[1, 0, 0.5, 0.5]], limit=20, search_params={"params": {"nprobe": 4}})[0][0]["id"] == 0


def test_changing_one_index_leaves_the_others_alone(any_world: World, base: str, any_app: Any) -> None:
    on_text = {"text": {"type": "INVERTED" if any_world.engine == "milvus-lite" else "TRIE"}}
    any_world.apply(spec(name=base, indexes={"embedding": {"type": "FLAT", "metric": "L2"}, **on_text}))
    any_world.said.clear()
    any_world.apply(spec(name=base, indexes={"embedding": {"type": "FLAT", "metric": "IP"}, **on_text}))
    assert sorted(any_app.list_indexes(base)) == ["embedding", "text"]
    assert not any("on text" in line for line in any_world.said)


def test_an_index_that_the_server_refuses_leaves_the_collection_searchable(world: World, base: str, app: Any) -> None:
    world.apply(spec(name=base))
    app.insert(base, rows(5))
    app.flush(base)
    state = world.recorded["tickets"]
    broken = {"embedding": {"type": "HNSW", "metric": "HAMMING"}}
    wanted = Desired(address="tickets", type=state.type, attributes=Map({**state.attributes, "indexes": freeze(broken)}))
    with pytest.raises(Invalid):
        asyncio.run(COLLECTION.update(world.client, state, wanted))
    assert len(app.search(base, [[1, 0, 0.5, 0.5]], limit=3)[0]) == 3
    world.apply(spec(name=base))
    assert app.describe_index(base, "embedding")["metric_type"] == "COSINE"


def test_a_collection_is_renamed_in_place(any_world: World, base: str, any_app: Any) -> None:
    any_world.apply(spec(name=base))
    any_app.insert(base, rows(4))
    any_app.flush(base)
    renamed = unique("renamed")
    any_world.apply(spec(name=renamed))
    assert not any_app.has_collection(base)
    assert any_app.query(renamed, filter="", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"] == 4


def test_a_time_to_live_is_set_changed_and_taken_away(any_world: World, base: str) -> None:
    any_world.engine = "milvus"  # Lite keeps the property, though it does not act on it
    any_world.apply(spec(name=base, properties={"ttl": 3600}))
    any_world.apply(spec(name=base, properties={"ttl": 60, "mmap": True}))
    read = any_world.read()
    assert read is not None and read.attributes["properties"] == {"ttl": 60, "mmap": True}
    any_world.apply(spec(name=base))
    read = any_world.read()
    assert read is not None and read.attributes["properties"] == {}


def test_drift_is_told_by_attribute_and_repaired(world: World, base: str, app: Any) -> None:
    wanted = spec(name=base, partitions=["en"])
    world.apply(wanted)
    app.release_collection(base)
    app.drop_index(base, "embedding")
    app.drop_partition(base, "en")
    app.create_partition(base, "by_hand")
    read = world.read()
    assert read is not None
    recorded = world.recorded["tickets"].attributes
    assert {k for k in recorded if read.attributes.get(k) != recorded[k]} == {"indexes", "partitions"}
    world.apply(wanted)
    read = world.read()
    assert read is not None and read.attributes == recorded


def test_a_released_collection_is_drift(world: World, base: str, app: Any) -> None:
    world.apply(spec(name=base))
    app.insert(base, rows(2))
    app.release_collection(base)
    read = world.read()
    assert read is not None and read.attributes["status"] == "released"
    world.apply(spec(name=base))
    assert app.search(base, [[1, 0, 0.5, 0.5]], limit=1)[0]


def test_a_dropped_collection_is_gone(world: World, base: str, app: Any) -> None:
    world.apply(spec(name=base))
    app.drop_collection(base)
    assert world.read() is None
    world.destroy()


def test_a_strangers_collection_is_neither_taken_nor_dropped(world: World, base: str, app: Any) -> None:
    app.create_collection(base, dimension=4)
    with pytest.raises(AlreadyExists) as refused:
        world.apply(spec(name=base))
    assert refused.value.import_id.endswith(f"/default/{base}")
    app.drop_collection(base)
    world.apply(spec(name=base))
    app.drop_collection(base)
    app.create_collection(base, dimension=4)
    assert world.read() is None
    world.destroy()
    assert app.has_collection(base)
    app.drop_collection(base)


def test_the_name_of_an_alias_is_not_taken_for_its_collection(world: World, base: str, app: Any) -> None:
    alias = unique("alias")
    app.create_collection(base, dimension=4)
    app.create_alias(base, alias)
    with pytest.raises(Invalid, match="is an alias"):
        world.apply(spec(name=alias))
    app.drop_collection(base)


def test_a_foreign_collection_is_adopted_by_its_place(world: World, base: str, app: Any) -> None:
    app.create_collection(base, dimension=4)
    found = asyncio.run(COLLECTION.adopt(world.client, f"{world.uri}/{base}"))
    assert isinstance(found, Observed)
    assert found.attributes["fields"]["vector"] == {"type": "float_vector", "dim": 4}
    assert asyncio.run(COLLECTION.adopt(world.client, f"{world.uri}/{unique()}")) is None
    world.record(lowered(world.uri, spec(name=base))[0], found)
    world.destroy()
    assert not app.has_collection(base)


def test_after_a_crash_the_create_is_found_by_its_token(world: World, base: str) -> None:
    resource = lowered(world.uri, spec(name=base))[0]
    wanted, token = world.desired(resource, {}), uuid.uuid4().hex
    assert asyncio.run(COLLECTION.find(world.client, wanted, token)) is None
    made = asyncio.run(COLLECTION.create(world.client, wanted, token))
    assert asyncio.run(COLLECTION.find(world.client, wanted, token)) == made
    assert asyncio.run(COLLECTION.find(world.client, wanted, uuid.uuid4().hex)) is None
    assert asyncio.run(COLLECTION.create(world.client, wanted, token)) == made
    world.record(resource, made)


def test_after_a_crash_while_rows_were_copied_the_half_filled_one_is_thrown_away(world: World, base: str, app: Any) -> None:
    resource = lowered(world.uri, spec(name=base))[0]
    wanted, token = world.desired(resource, {}), uuid.uuid4().hex
    asyncio.run(COLLECTION.create(world.client, wanted, token))
    app.alter_collection_properties(base, {FILLING: "the_old_one"})
    assert asyncio.run(COLLECTION.find(world.client, wanted, token)) is None
    assert not app.has_collection(base)


def test_a_create_that_fails_leaves_nothing(world: World, base: str, app: Any) -> None:
    resource = lowered(world.uri, spec(name=base))[0]
    wanted = world.desired(resource, {})
    broken = freeze({"embedding": {"type": "HNSW", "metric": "HAMMING"}})
    with pytest.raises(Invalid):
        asyncio.run(
            COLLECTION.create(
                world.client,
                Desired(address="tickets", type=resource.type, attributes=Map({**wanted.attributes, "indexes": broken})),
                uuid.uuid4().hex,
            )
        )
    assert not app.has_collection(base)


def test_the_stake_counts_vectors(any_world: World, base: str, any_app: Any) -> None:
    any_world.apply(spec(name=base))
    state = any_world.recorded["tickets"]
    assert asyncio.run(COLLECTION.stake(any_world.client, state)) == ""
    any_app.insert(base, rows(1234))
    assert asyncio.run(COLLECTION.stake(any_world.client, state)) == "1,234 vectors"


def test_what_an_update_risks_is_said() -> None:
    before = freeze({"indexes": {"e": {"type": "FLAT"}}, "partitions": ("a", "b"), "properties": {}})
    assert COLLECTION.assess(before, before).level is RiskLevel.SAFE
    slower = Map({**before, "indexes": freeze({"e": {"type": "HNSW"}})})
    assert COLLECTION.assess(before, slower).level is RiskLevel.INTERRUPTS_SERVING
    fewer = Map({**before, "partitions": ("a",)})
    assert COLLECTION.assess(before, fewer).sentence == "drops partition b with its rows"
