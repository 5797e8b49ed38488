"""A holder that lost its lock cannot write, in whatever order things happen; nor does it stand in the new holder's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from mlinfra.model.errors import StateLocked
from mlinfra.model.resource import ResourceState
from mlinfra.state import session as sessions
from mlinfra.state.entries import Record
from mlinfra.state.journal import read_journal
from mlinfra.state.lock import SKEW
from mlinfra.state.segments import encode_segment, segment_key
from mlinfra.state.session import Location, Session, open_session
from mlinfra.state.stores.local import LocalStore


def record(address: str) -> Record:
    return Record(resource=ResourceState(address=address, type="local.data", provider="local", id=f"id-{address}"))


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(LocalStore(tmp_path), "p/")


async def opened(location: Location) -> Session:
    return await asyncio.to_thread(open_session, location, "apply")


async def robbed(location: Location) -> Session:
    """A session whose lock somebody broke, and which does not know it."""
    stale = await opened(location)
    await stale.append(record("before"))
    location.unlock(stale.lease.id)
    return stale


async def whole_apply(location: Location, address: str) -> None:
    session = await opened(location)
    await session.append(record(address))
    await session.close()


async def nothing(_: Location) -> None:
    pass


async def one_apply(location: Location) -> None:
    await whole_apply(location, "new")


async def three_applies(location: Location) -> None:
    for name in ("new", "newer", "newest"):
        await whole_apply(location, name)


@pytest.mark.parametrize("meanwhile", [one_apply, three_applies])
def test_the_next_number_of_a_stale_holder_stays_taken_though_it_was_folded_in(
    location: Location, meanwhile: Callable[[Location], object]
) -> None:
    async def run() -> None:
        stale = await robbed(location)
        await meanwhile(location)  # type: ignore[misc]
        before = location.read().freeze()
        with pytest.raises(StateLocked, match="lost its lock"):
            await stale.append(record("stale"))
        await stale.close()
        assert location.read().freeze() == before
        assert "stale" not in before.current() and "new" in before.current()

    asyncio.run(run())


def test_a_write_that_took_longer_than_the_lease_is_not_trusted(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process sleeps between its last look at its lease and the write; meanwhile others come, go, and tidy up."""

    async def run() -> None:
        stale = await robbed(location)
        await whole_apply(location, "new")
        for key in location.store.list("p/journal/"):  # as it is long after: not even the fences are left
            location.store.delete(key)
        monkeypatch.setattr(type(stale._lock), "current", property(lambda _: False))
        monkeypatch.setattr(stale._lock, "check", lambda: None)
        with pytest.raises(StateLocked, match="lost its lock"):
            await stale.append(record("stale"))
        monkeypatch.undo()
        await stale.close()
        assert set(location.read().freeze().current()) == {"before", "new"}

    asyncio.run(run())


def test_a_last_write_that_came_before_the_new_holders_first_counts(location: Location) -> None:
    """Between the new holder's reading and its first write the old one gets one in: it is read, not lost."""

    class Sly(LocalStore):
        def put_if(self, key: str, data: bytes, version: str | None) -> str:
            if key.startswith("p/journal/") and self.armed:
                self.armed = False
                number = self.stale._position + 1
                self.stale._write(number, encode_segment(number, self.stale.lease.epoch, [record("last")]))
            return super().put_if(key, data, version)

        armed = False
        stale: Session

    async def run() -> None:
        store = Sly(location.store._root)  # type: ignore[attr-defined]
        stale = await robbed(location)
        store.stale, store.armed = stale, True
        fresh = await opened(Location(store, "p/"))
        assert set(fresh.ledger.freeze().current()) == {"before", "last"}
        await fresh.append(record("fresh"))
        await fresh.close()
        with pytest.raises(StateLocked, match="lost its lock"):  # it has something to fold in, and may not
            await stale.close()
        assert set(location.read().freeze().current()) == {"before", "last", "fresh"}

    asyncio.run(run())


def test_a_stale_holder_that_folds_its_journal_in_does_not_stop_the_new_one(location: Location) -> None:
    async def run() -> None:
        stale = await robbed(location)
        fresh = await opened(location)
        await fresh.append(record("fresh"))
        await stale.close()  # it wrote nothing since, so it folds in what it has
        await fresh.append(record("more"))
        await fresh.close()
        assert set(location.read().freeze().current()) == {"before", "fresh", "more"}
        assert location.holder() is None

    asyncio.run(run())


def test_a_stale_holder_does_not_release_the_new_ones_lock(location: Location) -> None:
    async def run() -> None:
        stale = await robbed(location)
        fresh = await opened(location)
        await stale.close()
        holder = location.holder()
        assert holder is not None and holder.id == fresh.lease.id
        await fresh.close()

    asyncio.run(run())


def test_epochs_grow_though_somebody_deletes_the_lock(location: Location) -> None:
    async def run() -> None:
        for name in "abc":
            await whole_apply(location, name)
        location.store.delete("p/lock.json")
        session = await opened(location)
        assert session.lease.epoch == 4
        await session.close()

    asyncio.run(run())


def test_fences_go_when_nobody_can_need_them_any_more(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        for number in range(5):
            await whole_apply(location, f"r{number}")
        assert len(location.store.list("p/journal/")) == 5
        later = sessions.time.time() + SKEW + 100
        monkeypatch.setattr(sessions.time, "time", lambda: later)
        await whole_apply(location, "late")
        reading = read_journal(location.store, "p/")
        assert [f.number for f in reading.fences] == [reading.position - 1]
        assert location.store.list("p/journal/") == ["p/" + segment_key(reading.position - 1)]

    asyncio.run(run())


def test_nothing_is_sent_once_the_lease_ran_out(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        session = await opened(location)
        session.check()
        monkeypatch.setattr(type(session._lock), "current", property(lambda _: False))
        with pytest.raises(StateLocked):
            session.check()
        monkeypatch.undo()
        await session.close()

    asyncio.run(run())


def test_a_lease_is_renewed_while_the_event_loop_is_busy(tmp_path: Path) -> None:
    location = Location(LocalStore(tmp_path), "p/", lease=0.6)

    async def run() -> None:
        session = await opened(location)
        before = location.store.get("p/lock.json")
        until = sessions.time.monotonic() + 1.5
        while sessions.time.monotonic() < until:  # no await: the loop stands still
            pass
        assert location.store.get("p/lock.json") != before
        await session.append(record("a"))
        await session.close()

    asyncio.run(run())
