"""The journal under a lock: durable, fenced, replayed, compacted; a state that cannot be trusted is refused."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlinfra.model.errors import StateError, StateLocked
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map
from mlinfra.state.entries import Drop, Record
from mlinfra.state.lock import Lock
from mlinfra.state.session import Location, Session, open_session
from mlinfra.state.stores.local import LocalStore


def resource(address: str, **attributes: object) -> ResourceState:
    return ResourceState(address=address, type="local.data", provider="local", id=f"id-{address}", attributes=Map(attributes))


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(LocalStore(tmp_path), "p/default/")


def write(location: Location, *entries: object) -> None:
    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        await session.append(*entries)  # type: ignore[arg-type]
        await session.close()

    asyncio.run(run())


def test_what_was_appended_is_read_back(location: Location) -> None:
    write(location, Record(resource=resource("a", x=1)), Record(resource=resource("b")))
    write(location, Drop(address="b"))
    state = location.read().freeze()
    assert set(state.current()) == {"a"} and state.get("a").attributes == {"x": 1}  # type: ignore[union-attr]


def test_entries_are_durable_before_the_session_is_closed(location: Location) -> None:
    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        await session.append(Record(resource=resource("a")))
        assert location.read().freeze().get("a") is not None
        await session.close()

    asyncio.run(run())


def test_entries_that_wait_for_a_flush_go_out_together(location: Location) -> None:
    async def run() -> int:
        session = await asyncio.to_thread(open_session, location, "apply")
        before = len(location.store.list(location.prefix + "journal/"))
        await asyncio.gather(*[session.append(Record(resource=resource(f"r{i}"))) for i in range(500)])
        flushes = len(location.store.list(location.prefix + "journal/")) - before
        await session.close()
        return flushes

    assert asyncio.run(run()) <= 5
    assert len(location.read().resources) == 500


def test_a_second_writer_is_told_who_holds_the_lock(location: Location) -> None:
    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        with pytest.raises(StateLocked, match=f"pid {os.getpid()}, apply"):
            open_session(location, "destroy")
        await session.close()
        other = await asyncio.to_thread(open_session, location, "destroy")
        await other.close()

    asyncio.run(run())


def test_a_holder_that_lost_its_lock_cannot_write(location: Location) -> None:
    async def run() -> None:
        stale = await asyncio.to_thread(open_session, location, "apply")
        assert stale.lease.id
        location.unlock(stale.lease.id)
        fresh = await asyncio.to_thread(open_session, location, "apply")
        await fresh.append(Record(resource=resource("fresh")))
        with pytest.raises(StateLocked, match="lost its lock"):
            await stale.append(Record(resource=resource("stale")))
        await fresh.close()
        await stale.close()

    asyncio.run(run())
    assert set(location.read().freeze().current()) == {"fresh"}


def test_the_lock_of_a_dead_process_is_taken_over_at_once(location: Location, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mlinfra.state.session import Location, open_session; "
        "from mlinfra.state.stores.local import LocalStore; import os; "
        "open_session(Location(LocalStore(Path(sys.argv[1])), 'p/default/'), 'apply'); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ran.returncode == -9

    async def run() -> Session:
        session = await asyncio.to_thread(open_session, location, "apply")
        await session.close()
        return session

    session = asyncio.run(run())
    assert session.taken_from is not None and session.lease.epoch == session.taken_from.epoch + 1


def test_unlock_wants_the_right_id(location: Location) -> None:
    lock = Lock(location.store, location.prefix)
    lock.acquire("apply")
    with pytest.raises(StateLocked, match="no lock nope"):
        location.unlock("nope")


def test_a_state_of_a_newer_format_is_refused_untouched(location: Location) -> None:
    write(location, Record(resource=resource("a")))
    key = location.prefix + "state.json"
    blob = location.store.get(key)
    assert blob is not None
    header, _, body = blob.data.partition(b"\n")
    newer = json.dumps({**json.loads(header), "format": 99, "mlinfra": "9.0"}).encode() + b"\n" + body
    location.store.put_if(key, newer, blob.version)
    with pytest.raises(StateError, match=r"written by mlinfra 9\.0"):
        location.read()
    with pytest.raises(StateError):
        open_session(location, "apply")
    assert location.store.get(key).data == newer  # type: ignore[union-attr]
    assert location.holder() is None


def test_an_altered_snapshot_is_refused(location: Location) -> None:
    write(location, Record(resource=resource("a", x=1)))
    key = location.prefix + "state.json"
    blob = location.store.get(key)
    assert blob is not None
    location.store.put_if(key, blob.data.replace(b'"x":1', b'"x":2'), blob.version)
    with pytest.raises(StateError, match="damaged"):
        location.read()


def test_a_segment_that_the_snapshot_contains_already_is_not_applied_again(location: Location) -> None:
    write(location, Record(resource=resource("a")))
    serial = location.read().serial
    assert location.store.list(location.prefix + "journal/")
    assert location.read().serial == serial


def test_what_a_process_wrote_before_it_was_killed_is_not_lost(location: Location) -> None:
    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        await session.append(Record(resource=resource("a")))

    asyncio.run(run())  # never closed: no snapshot
    assert location.store.get(location.prefix + "state.json") is None
    assert location.read().freeze().get("a") is not None


def test_a_record_written_twice_counts_once(location: Location) -> None:
    entry = Record(resource=resource("a"))
    write(location, entry, entry, Record(resource=replace(resource("a"), version=2)))
    assert location.read().freeze().get("a").version == 2  # type: ignore[union-attr]
