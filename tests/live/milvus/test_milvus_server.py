"""``local.milvus``: a server that survives the command, and is repaired with its data when it dies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from live.milvus.world import TYPES, World, clients, rows, spec

from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Secret, freeze
from mlinfra.provider.contract import LoweringContext, LoweringError, ProviderContext
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid
from mlinfra_local import services
from mlinfra_local.client import LocalClient
from mlinfra_local.lowering.vector_database import lower
from mlinfra_local.resources.milvus import MARKER, MilvusLite
from mlinfra_local.settings import LocalConfig

pytestmark = pytest.mark.live
TYPE = MilvusLite()


class Database:
    """A ``local.milvus`` called ``vectors`` in a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.client = LocalClient(LocalConfig(), ProviderContext(project="p", environment="", base=folder, data=folder / "data"))
        self.folder = self.client.folder("services", "vectors")
        self.state: ResourceState | None = None

    def desired(self, **more: Any) -> Desired:
        return Desired(address="vectors", type="local.milvus", attributes=Map({"name": "vectors", **more}))

    def _record(self, observed: Observed) -> Map:
        self.state = ResourceState(
            address="vectors", type="local.milvus", provider="local", id=observed.id, attributes=observed.attributes
        )
        return observed.attributes

    def create(self, **more: Any) -> Map:
        return self._record(asyncio.run(TYPE.create(self.client, self.desired(**more), uuid.uuid4().hex)))

    def update(self, **more: Any) -> Map:
        assert self.state is not None
        return self._record(asyncio.run(TYPE.update(self.client, self.state, self.desired(**more))))

    def read(self) -> Observed | None:
        assert self.state is not None
        return asyncio.run(TYPE.read(self.client, self.state))

    def delete(self) -> None:
        if self.state is not None:
            asyncio.run(TYPE.delete(self.client, self.state))

    def kill(self) -> None:
        service = services.status(self.folder)
        assert service is not None
        process = psutil.Process(service.pid)
        os.kill(service.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path)
    yield made
    made.delete()


def test_a_killed_server_is_drift_and_comes_back_with_port_rows_and_searches(database: Database, tmp_path: Path) -> None:
    made = database.create()
    world = World(str(made["uri"]), clients(tmp_path))
    world.apply(spec(alias="live"))
    _with_client(world.uri, lambda c: c.insert("live", rows(50)))
    database.kill()
    read = database.read()
    assert read is not None and read.attributes["status"] == "stopped" and read.attributes["uri"] == made["uri"]
    unreachable = world.read()
    assert unreachable is not None and unreachable.attributes["status"] == "unreachable"
    assert {**unreachable.attributes, "status": "loaded"} == world.recorded["tickets"].attributes
    assert world.read("tickets.alias") is not None
    assert database.update() == made
    # Loaded before it listens: nobody has to load anything.
    assert _with_client(world.uri, lambda c: len(c.search("live", [[1.0] * 4], limit=50)[0])) == 50
    again = World(world.uri, clients(tmp_path), recorded=world.recorded)
    assert again.read() == Observed(again.recorded["tickets"].id, again.recorded["tickets"].attributes)


def test_another_port_is_taken_when_the_old_one_is_not_free(database: Database) -> None:
    made = database.create()
    port = int(str(made["uri"]).rpartition(":")[2])
    database.kill()
    with socket.create_server(("127.0.0.1", port), reuse_port=False):
        moved = database.update()
    assert moved["status"] == "running" and moved["uri"] != made["uri"]


def test_a_pinned_port_is_known_before_and_never_shared(database: Database) -> None:
    port = services.free_port()
    assert TYPE.schema.predict is not None
    assert TYPE.schema.predict(Map(name="vectors", port=port))["uri"] == f"http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port), reuse_port=False), pytest.raises(Invalid, match="in use"):
        database.create(port=port)
    assert services.find_strays(database.folder) == []


def test_the_logical_database_is_there_from_the_start(database: Database) -> None:
    made = database.create(database="search")
    assert "search" in _with_client(str(made["uri"]), lambda c: c.list_databases())


def test_delete_leaves_no_process_and_no_file(database: Database, tmp_path: Path) -> None:
    made = database.create()
    world = World(str(made["uri"]), clients(tmp_path))
    assert database.state is not None
    assert asyncio.run(TYPE.stake(database.client, database.state)) == ""
    world.apply(spec())
    assert asyncio.run(TYPE.stake(database.client, database.state)) == "1 collection"
    database.delete()
    assert not database.folder.exists()
    assert services.find_strays(database.folder) == []
    assert database.read() is None
    database.delete()


def test_after_a_crash_it_is_found_by_its_token_only(database: Database) -> None:
    token = uuid.uuid4().hex
    made = asyncio.run(TYPE.create(database.client, database.desired(), token))
    database._record(made)
    assert asyncio.run(TYPE.find(database.client, database.desired(), token)) == made
    assert asyncio.run(TYPE.find(database.client, database.desired(), uuid.uuid4().hex)) is None
    with pytest.raises(AlreadyExists):
        asyncio.run(TYPE.create(database.client, database.desired(), uuid.uuid4().hex))


def test_its_log_can_be_read(database: Database) -> None:
    database.create()
    assert database.state is not None
    state = database.state

    async def lines() -> list[str]:
        log: AsyncIterator[str] = TYPE.logs(database.client, state, follow=False)
        return [line async for line in log]

    assert any("Milvus Lite listens" in line for line in asyncio.run(lines()))


def test_a_server_that_is_gone_is_a_passing_failure(database: Database, tmp_path: Path) -> None:
    uri = f"http://127.0.0.1:{services.free_port()}"
    with pytest.raises(Failure) as failed:
        World(uri, clients(tmp_path)).apply(spec())
    assert failed.value.retryable and uri in failed.value.message


def test_a_token_is_refused_because_lite_has_no_users() -> None:
    component = Component(kind="vector_database", name="vectors", target="local", properties=freeze({"token": Secret("s3cret")}))
    context = LoweringContext(component=component, project="p", environment="", provider="local")
    with pytest.raises(LoweringError, match="no users") as refused:
        lower(VectorDatabase.model_validate({"token": Secret("s3cret")}), context)
    assert refused.value.diagnostics[0].path == ("token",)
    assert set(lower(VectorDatabase(), context).outputs) == set(VectorDatabase.outputs)


def test_types_satisfy_the_contract() -> None:
    from mlinfra.provider.contract import Adopts, Finds, Logs, ResourceType, Stakes, Succeeds, Validates

    collection = TYPES["milvus.collection"]
    for protocol in (ResourceType, Finds, Adopts, Stakes, Succeeds, Validates):
        assert isinstance(collection, protocol)
    for protocol in (ResourceType, Finds, Adopts):
        assert isinstance(TYPES["milvus.alias"], protocol)
    for protocol in (ResourceType, Finds, Adopts, Stakes, Logs):
        assert isinstance(TYPE, protocol)


def _with_client(uri: str, use: Any) -> Any:
    from pymilvus import MilvusClient

    client = MilvusClient(uri=uri, dedicated=True)
    try:
        return use(client)
    finally:
        client.close()


def test_a_kill_between_the_start_and_the_note_of_the_port_is_found_with_its_address(database: Database) -> None:
    made = database.create()
    marker = json.loads((database.folder / MARKER).read_text())
    (database.folder / MARKER).write_text(json.dumps({"op": marker["op"]}))
    found = asyncio.run(TYPE.find(database.client, database.desired(), marker["op"]))
    assert found is not None
    assert found.attributes == made
    database.kill()
    assert database.update()["uri"] == made["uri"]


def test_a_kill_before_the_start_leaves_nothing_that_counts_as_made(database: Database) -> None:
    database.folder.mkdir(parents=True)
    (database.folder / MARKER).write_text(json.dumps({"op": "f" * 32}))
    assert asyncio.run(TYPE.find(database.client, database.desired(), "f" * 32)) is None
    assert database.create()["status"] == "running"


def test_a_note_that_was_deleted_is_drift_and_is_repaired(database: Database) -> None:
    made = database.create()
    (database.folder / MARKER).unlink()
    seen = database.read()
    assert seen is not None
    assert seen.attributes == Map({**made, "status": "lost"})
    assert database.update()["status"] == "running"


def test_a_server_whose_folder_was_deleted_ends_by_itself(database: Database) -> None:
    database.create()
    service = services.status(database.folder)
    assert service is not None
    process = psutil.Process(service.pid)
    shutil.rmtree(database.folder)
    services.processes.wait([process], 30)
    assert not psutil.pid_exists(service.pid)
    assert database.read() is None


def test_a_stopped_server_whose_port_a_stranger_took_says_where_it_will_be(database: Database) -> None:
    made = database.create()
    database.kill()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((services.HOST, int(str(made["uri"]).rpartition(":")[2])))
        stranger.listen()
        seen = database.read()
        assert seen is not None
        assert seen.attributes["status"] == "stopped"
        assert seen.attributes["uri"] != made["uri"]
        assert database.read() == seen
        assert database.update()["uri"] == seen.attributes["uri"]
