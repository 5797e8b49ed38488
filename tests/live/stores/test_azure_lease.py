"""Azure's lease on the lock object: nobody else can touch it, and when it runs out everybody knows, without having watched."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from mlinfra.model.errors import StateLocked
from mlinfra.state.lock import Lease, Lock
from mlinfra.state.session import Location, open_session
from mlinfra.state.store import StoreConflict, StoreUnavailable, delete_all

pytestmark = pytest.mark.live
KEY = "p/dev/lock.json"


@pytest.fixture
def two(place_of: Any) -> Iterator[tuple[Any, Any]]:
    """Two clients of one container, in which a lock object stands."""
    place = place_of("azure")
    with closing(place.open()) as one, closing(place.open()) as other:
        one.put_if(KEY, json.dumps({"epoch": 3}).encode(), None)
        yield one, other


def elsewhere(lock: Lock, store: Any) -> None:
    """Make the holder of the lock one of another machine, whose process nobody here can look up; its lease on the blob stays."""
    blob = store.get(KEY)
    assert blob is not None and lock.held is not None
    lock._version = store.put_if(KEY, json.dumps({**json.loads(blob.data), "machine": "another"}).encode(), blob.version)


def test_a_held_lock_cannot_be_written_or_deleted_by_others(two: tuple[Any, Any]) -> None:
    one, other = two
    lock = Lock(one, "p/dev/")
    lease, _ = lock.acquire("apply")
    assert lease.guarded and lease.epoch == 4 and other.guarded(KEY)
    blob = other.get(KEY)
    with pytest.raises(StoreConflict):
        other.put_if(KEY, b"mine", blob.version)
    for forbidden in (lambda: delete_all(other, [KEY]), lambda: other.delete(KEY)):
        with pytest.raises(StoreUnavailable):
            forbidden()
    lock.renew()
    assert lock.held is not None and lock.held.guarded
    lock.release()
    assert not other.guarded(KEY)
    taken, dead = Lock(other, "p/dev/").acquire("apply")
    assert taken.guarded and taken.epoch == 5 and dead is None


def test_a_holder_whose_lease_ran_out_is_followed_at_once(two: tuple[Any, Any]) -> None:
    """The lease is ended here instead of waited for: the service reports both alike."""
    one, other = two
    lock = Lock(one, "p/dev/")
    lock.acquire("apply")
    elsewhere(lock, one)
    with pytest.raises(StateLocked):
        Lock(other, "p/dev/", ticks=lambda: 5.0).acquire("apply", 0.0)
    assert Lock(other, "p/dev/").holder() is not None
    other.break_guard(KEY, other.get(KEY).version)
    assert Lock(other, "p/dev/").holder() is None
    waited: list[float] = []
    taken, dead = Lock(other, "p/dev/", sleep=waited.append, ticks=lambda: 5.0).acquire("apply", 0.0)
    assert taken.guarded and dead is not None and dead.machine == "another" and waited == []
    with pytest.raises(StateLocked, match="lost its lock"):
        lock.renew()
    assert Lock(one, "p/dev/")._read()[0].id == taken.id and other.guarded(KEY), "the late one did no harm"


def test_a_process_of_this_machine_that_is_gone_is_followed_before_its_lease_runs_out(two: tuple[Any, Any]) -> None:
    one, other = two
    lock = Lock(one, "p/dev/")
    lock.acquire("apply")
    blob = one.get(KEY)
    one.put_if(KEY, json.dumps({**json.loads(blob.data), "born": "never", "pid": 2**22 + 1}).encode(), blob.version)
    taken, dead = Lock(other, "p/dev/").acquire("apply", 0.0)
    assert taken.guarded and dead is not None


def test_who_comes_too_late_does_not_break_the_new_holders_lease(two: tuple[Any, Any]) -> None:
    """Both saw the lock free; the slower one's attempt must leave the faster one's lease alone."""
    one, other = two
    seen = Lock(other, "p/dev/")._read()
    Lock(one, "p/dev/").acquire("apply")
    assert Lock(other, "p/dev/")._take(*seen, "apply") is False
    assert other.guarded(KEY)


def test_unlock_breaks_the_lease_and_the_holder_notices(two: tuple[Any, Any]) -> None:
    one, other = two
    mine, theirs = Location(one, "p/dev/"), Location(other, "p/dev/")

    async def run() -> None:
        stale = await asyncio.to_thread(open_session, mine, "apply")
        assert stale.lease.guarded
        theirs.unlock(stale.lease.id)
        assert not other.guarded(KEY)
        fresh = await asyncio.to_thread(open_session, theirs, "apply")
        with pytest.raises(StateLocked):
            stale._lock.renew()
        await stale.close()
        await fresh.close()

    asyncio.run(run())
    assert not other.guarded(KEY)


@pytest.mark.parametrize("seconds", [14.0, 61.0])
def test_lengths_that_azure_has_no_lease_of_do_without(two: tuple[Any, Any], seconds: float) -> None:
    one, other = two
    lease, _ = Lock(one, "p/dev/", lease=seconds).acquire("apply")
    assert not lease.guarded and not other.guarded(KEY)
    with pytest.raises(StateLocked):
        Lock(other, "p/dev/", lease=seconds).acquire("apply", 0.0)


def test_the_first_lock_of_a_state_is_guarded_from_its_first_renewal_on(place_of: Any) -> None:
    with closing(place_of("azure").open()) as store:
        lock = Lock(store, "p/dev/")
        lease, _ = lock.acquire("apply")
        assert lease == Lease(**{**json.loads(store.get(KEY).data)}) and not lease.guarded
        lock.renew()
        assert lock.held is not None and lock.held.guarded and store.guarded(KEY)
        lock.release()
