"""The HTTP server's own lock, which never runs out by itself, after a run was killed: the next run frees it, and only a dead one's."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.model.errors import StateError, StateLocked
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map
from mlinfra.state.entries import Record
from mlinfra.state.session import Location, open_session
from mlinfra.state.stores.opening import open_store

pytestmark = pytest.mark.live

DIES = """
import asyncio, json, os, sys
from pathlib import Path
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map
from mlinfra.state.entries import Record
from mlinfra.state.session import Location, open_session
from mlinfra.state.stores.opening import open_store

async def run():
    session = open_session(Location(open_store(Map(json.loads(sys.argv[1])), Path(".")), "p/dev/"), "apply")
    await session.append(Record(resource=ResourceState(address="a", type="local.data", provider="local", id="a", attributes=Map())))
    os.kill(os.getpid(), 9)

asyncio.run(run())
"""


def path_of(place: Any) -> str:
    """Where the place's document lies on its server."""
    path: str = place.block["address"].rpartition("/")[2]
    return path


@pytest.mark.parametrize("name", ["http", "gitlab"])
def test_the_lock_of_a_killed_run_is_freed_by_the_next(
    place_of: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    place = place_of(name)
    for key, value in place.environ.items():
        monkeypatch.setenv(key, value)
    ran = subprocess.run([sys.executable, "-c", DIES, json.dumps(dict(place.block))], cwd=tmp_path, check=False)
    assert ran.returncode == -signal.SIGKILL
    assert path_of(place) in place.server.locks, "the run was killed before it took the lock"
    store = place.open()
    location = Location(store, "p/dev/")

    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        assert session.taken_from is not None and set(session.ledger.freeze().current()) == {"a"}
        await session.append(
            Record(resource=ResourceState(address="b", type="local.data", provider="local", id="b", attributes=Map()))
        )
        await session.close()

    asyncio.run(run())
    assert path_of(place) not in place.server.locks and set(location.read().freeze().current()) == {"a", "b"}


def test_another_tools_lock_is_respected_and_named(place_of: Any) -> None:
    place = place_of("http")
    path = path_of(place)
    place.server.locks[path] = {
        "ID": "terraform-1",
        "Who": "anna@laptop",
        "Created": "2026-01-01T00:00:00Z",
        "Operation": "apply",
    }
    store = place.open()
    store._patience = 0.1
    with pytest.raises(StateLocked, match=r"anna@laptop since 2026.*terraform-1"):
        store.put_if("a", b"", None)
    assert place.server.locks[path]["ID"] == "terraform-1"
    assert Location(store, "p/dev/").store.list("") == []


def test_another_tools_lock_can_be_broken_by_name(place_of: Any) -> None:
    place = place_of("http")
    path = path_of(place)
    place.server.locks[path] = {"ID": "terraform-1", "Who": "anna@laptop", "Created": "", "Operation": "apply"}
    store = place.open()
    Location(store, "p/dev/").unlock("terraform-1")
    store.put_if("a", b"x", None)
    assert path not in place.server.locks and store.get("a").data == b"x"


def test_a_living_session_of_another_environment_keeps_the_lock(place_of: Any) -> None:
    place = place_of("http")
    mine, theirs = place.open(), place.open()
    theirs.put_if("p/prod/lock.json", b"{}", None)
    version = theirs.get("p/prod/lock.json").version

    async def run() -> None:
        session = await asyncio.to_thread(open_session, Location(mine, "p/dev/"), "apply")
        held = dict(place.server.locks)
        asking = asyncio.create_task(asyncio.to_thread(theirs.put_if, "p/prod/lock.json", b"{}", version))
        await asyncio.sleep(1)
        assert place.server.locks == held and not asking.done()
        await session.close()
        await asking

    asyncio.run(run())
    assert path_of(place) not in place.server.locks


def test_a_server_that_is_unwell_for_a_moment_is_asked_again(place_of: Any) -> None:
    place = place_of("http")
    store = place.open()
    version = store.put_if("a", b"one", None)
    place.server.fail_next.extend([503, 500])
    assert store.get("a").version == version
    place.server.fail_next.extend([502])
    store.put_if("a", b"two", version)
    assert store.get("a").data == b"two"


def test_without_an_address_of_the_lock_nothing_is_written(place_of: Any) -> None:
    block = {k: v for k, v in place_of("http").block.items() if k != "lock_address"}
    with pytest.raises(StateError, match="no lock_address"):
        open_store(Map(block), Path(), {})


def test_terraforms_variables_fill_in_what_the_spec_leaves_out(place_of: Any) -> None:
    place = place_of("gitlab")
    environ = {
        "TF_HTTP_ADDRESS": place.block["address"], "TF_HTTP_LOCK_ADDRESS": place.block["lock_address"],
        "TF_HTTP_LOCK_METHOD": "POST", "TF_HTTP_UNLOCK_METHOD": "DELETE", "TF_HTTP_USERNAME": "ci",
        "TF_HTTP_PASSWORD": place.server.password,
    }  # fmt: skip
    store = open_store(Map(store="http"), Path(), environ)
    store.put_if("a", b"one", None)
    assert place.open().get("a").data == b"one"
