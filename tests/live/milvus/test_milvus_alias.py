"""A new schema is built beside the old one, rows are copied where they can be, and the alias moves without a gap."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live.milvus.world import TYPES, World, clients, lite_server, rows, spec, unique

from mlinfra.model.resource import Desired
from mlinfra.model.values import Map
from mlinfra.provider.failures import AlreadyExists, Invalid

pytestmark = pytest.mark.live
ALIAS = TYPES["milvus.alias"]


@pytest.fixture
def alias() -> str:
    return unique("live")


class Searching:
    """An application that searches through an alias all the time: how often it could, and what failed."""

    def __init__(self) -> None:
        self.done = 0
        self.failures: list[str] = []
        self.more = threading.Condition()

    def wait_for(self, searches: int) -> None:
        with self.more:
            wanted = self.done + searches
            assert self.more.wait_for(lambda: self.done >= wanted or bool(self.failures), timeout=60)


@contextmanager
def searching(uri: str, alias: str) -> Iterator[Searching]:
    from pymilvus import MilvusClient

    seen, stop = Searching(), threading.Event()

    def loop() -> None:
        client = MilvusClient(uri=uri, dedicated=True)
        while not stop.is_set():
            try:
                dim = next(f for f in client.describe_collection(alias)["fields"] if f["name"] == "embedding")["params"]["dim"]
                client.search(alias, [[1.0] * dim], limit=3)
            except Exception as error:  # noqa: BLE001 - whatever fails is what the test looks for
                if "dimension" not in str(error):  # described before the alias moved, searched after: the application's own race
                    seen.failures.append(str(error))
            with seen.more:
                seen.done += 1
                seen.more.notify_all()
        client.close()

    threads = [threading.Thread(target=loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        seen.wait_for(10)
        yield seen
        seen.wait_for(10)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_searches_through_the_alias_never_fail_while_dim_changes(any_world: World, any_app: Any, base: str, alias: str) -> None:
    any_world.apply(spec(name=base, alias=alias))
    any_app.insert(alias, rows(300))
    with searching(any_world.uri, alias) as seen:
        for dim in (8, 16, 32):
            any_world.apply(spec(name=base, dim=dim, alias=alias))
            seen.wait_for(10)
    assert seen.failures == []
    assert [c for c in any_app.list_collections() if c.startswith(base)] == [any_world.name]
    assert any("cannot" not in s and "alias" in s for s in any_world.said)
    assert any("none of 300 rows" in s and "dim from 4 to 8" in s for s in any_world.said)


def test_rows_follow_when_only_the_index_changes(any_world: World, any_app: Any, base: str, alias: str) -> None:
    any_world.apply(spec(name=base, alias=alias, partitions=["en"]))
    first = any_world.name
    any_app.insert(alias, rows(2300))
    any_app.insert(alias, [{**r, "id": r["id"] + 10_000} for r in rows(10)], partition_name="en")
    with searching(any_world.uri, alias) as seen:
        flat = {"embedding": {"type": "FLAT", "metric": "IP"}}
        any_world.apply(spec(name=base, alias=alias, partitions=["en"], indexes=flat))
    assert seen.failures == []
    assert any_world.name != first and not any_app.has_collection(first)
    count = {"filter": "", "output_fields": ["count(*)"], "consistency_level": "Strong"}
    assert any_app.query(alias, **count)[0]["count(*)"] == 2310
    # Lite counts all partitions when there is no filter, whichever are named: rows are asked for instead.
    assert len(any_app.query(alias, filter="id >= 0", partition_names=["en"], consistency_level="Strong")) == 10
    assert any_app.query(alias, filter="id == 77", output_fields=["text"])[0]["text"] == "row 77"


def test_rows_lose_the_fields_that_are_gone_and_gain_the_defaults_of_new_ones(
    world: World, app: Any, base: str, alias: str
) -> None:
    world.apply(spec(name=base, alias=alias, dynamic_fields=True))
    app.insert(alias, [{**r, "beside": r["id"]} for r in rows(5)])
    changed = spec(name=base, alias=alias, dynamic_fields=True)
    del changed["fields"]["text"]
    changed["fields"]["lang"] = {"type": "varchar", "max_length": 2, "default": "en"}
    changed["fields"]["score"] = {"type": "double", "nullable": True}
    world.apply(changed)
    found = app.query(alias, filter="id == 3", output_fields=["*"])[0]
    assert (found["lang"], found["score"], found["beside"], "text" in found) == ("en", None, 3, False)


def test_a_new_field_that_every_row_needs_leaves_the_rows_to_the_pipeline(world: World, app: Any, base: str, alias: str) -> None:
    world.apply(spec(name=base, alias=alias))
    app.insert(alias, rows(5))
    changed = spec(name=base, alias=alias)
    changed["fields"]["lang"] = {"type": "varchar", "max_length": 2}
    world.apply(changed)
    assert "none of 5 rows" in " ".join(world.said) and "field lang is new" in " ".join(world.said)
    assert app.query(alias, filter="", output_fields=["count(*)"])[0]["count(*)"] == 0


def test_going_back_to_the_old_content_goes_back_to_the_old_name(world: World, base: str, alias: str) -> None:
    world.apply(spec(name=base, alias=alias))
    first = world.name
    world.apply(spec(name=base, dim=8, alias=alias))
    assert world.name != first
    world.apply(spec(name=base, alias=alias))
    assert world.name == first


def test_an_alias_given_later_takes_the_rows_along(world: World, app: Any, base: str, alias: str) -> None:
    world.apply(spec(name=base))
    app.insert(base, rows(7))
    world.apply(spec(name=base, alias=alias))
    assert app.query(alias, filter="", output_fields=["count(*)"])[0]["count(*)"] == 7
    assert not app.has_collection(base)


def test_a_failed_copy_leaves_the_old_one_serving_and_nothing_beside_it(
    world: World, app: Any, base: str, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlinfra_milvus.client import Server

    world.apply(spec(name=base, alias=alias))
    app.insert(alias, rows(5))

    def refuse(*_: object) -> None:
        raise Invalid("no more rows")

    monkeypatch.setattr(Server, "insert", refuse)
    changed = spec(name=base, alias=alias, shards=3)
    with pytest.raises(Invalid, match="no more rows"):
        world.apply(changed)
    monkeypatch.undo()
    assert [c for c in app.list_collections() if c.startswith(base)] == [world.name]
    assert len(app.search(alias, [[1.0] * 4], limit=5)[0]) == 5


def test_an_alias_moved_by_hand_is_drift_and_is_moved_back(world: World, app: Any, base: str, alias: str) -> None:
    world.apply(spec(name=base, alias=alias))
    other = unique()
    app.create_collection(other, dimension=4)
    app.alter_alias(other, alias)
    read = world.read("tickets.alias")
    assert read is not None and read.attributes["collection"] == other
    world.apply(spec(name=base, alias=alias))
    assert app.describe_alias(alias)["collection_name"] == world.name
    app.drop_alias(alias)
    assert world.read("tickets.alias") is None
    app.drop_collection(other)


def test_an_alias_that_points_elsewhere_is_not_ours(world: World, app: Any, base: str, alias: str) -> None:
    other = unique()
    app.create_collection(other, dimension=4)
    app.create_alias(other, alias)
    with pytest.raises(AlreadyExists):
        world.apply(spec(name=base, alias=alias))
    assert app.describe_alias(alias)["collection_name"] == other
    found = asyncio.run(ALIAS.adopt(world.client, f"{world.uri}/{alias}"))
    assert found.attributes["collection"] == other
    app.drop_collection(other)


def test_an_alias_cannot_have_the_name_of_a_collection(world: World, app: Any, base: str) -> None:
    other = unique()
    app.create_collection(other, dimension=4)
    with pytest.raises(Invalid, match="is the name of a collection"):
        world.apply(spec(name=base, alias=other))
    app.drop_collection(other)


def test_after_a_crash_an_alias_is_found_by_the_operation_that_made_it(world: World, base: str, alias: str) -> None:
    world.apply(spec(name=base))
    place = {"uri": world.uri, "database": "default", "alias": alias, "collection": base}
    wanted, token = Desired(address="tickets.alias", type="milvus.alias", attributes=Map(place)), uuid.uuid4().hex
    assert asyncio.run(ALIAS.find(world.client, wanted, token)) is None
    made = asyncio.run(ALIAS.create(world.client, wanted, token))
    assert asyncio.run(ALIAS.find(world.client, wanted, token)) == made
    assert asyncio.run(ALIAS.create(world.client, wanted, token)) == made
    assert asyncio.run(ALIAS.find(world.client, wanted, uuid.uuid4().hex)) is None


def test_what_a_power_cut_left_is_taken_up_when_the_server_is_back(tmp_path: Path) -> None:
    """Both the apply and the server die: nobody can be asked before the server runs again."""
    with lite_server(tmp_path / "server") as uri:
        world = World(uri, clients(tmp_path))
        world.apply(spec(alias="live"))
        states = dict(world.recorded)
    for address, state in states.items():
        desired = Desired(address=address, type=state.type, attributes=state.attributes)
        assert asyncio.run(TYPES[state.type].find(clients(tmp_path), desired, "a" * 32)) is None
    with lite_server(tmp_path / "server") as uri:
        world = World(uri, clients(tmp_path))
        world.apply(spec(alias="live"))
        assert {s.attributes.get("status") for s in world.recorded.values()} == {"loaded", None}


def test_a_collection_of_ours_that_nobody_recorded_is_not_dropped_when_it_holds_rows(world: World, app: Any, base: str) -> None:
    world.apply(spec(name=base))
    app.insert(base, rows(3))
    forgetful = World(world.uri, world.client)
    with pytest.raises(AlreadyExists, match="belongs to tickets"):
        forgetful.apply(spec(name=base))
    assert len(app.query(base, filter="id >= 0")) == 3
