"""The lock: who is dead is a matter of what is seen to happen, not of what the clocks say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from mlinfra.model.errors import Interrupted, StateLocked
from mlinfra.state.lock import SKEW, Lease, Lock
from mlinfra.state.stores.local import LocalStore

KEY = "p/lock.json"


@dataclass
class Time:
    """Two clocks that go together, and a sleep that lets something happen meanwhile."""

    wall: float = 1_000_000.0
    ticks: float = 50.0
    slept: float = 0.0
    every: float = 0.0
    """The holder renews after so many seconds of ours; 0: never."""

    def lock(self, store: LocalStore, **more: object) -> Lock:
        return Lock(store, "p/", clock=lambda: self.wall, ticks=lambda: self.ticks, sleep=self.sleep, **more)  # type: ignore[arg-type]

    def sleep(self, seconds: float) -> None:
        before = self.slept
        self.wall += seconds
        self.ticks += seconds
        self.slept += seconds
        if self.every and int(self.slept / self.every) > int(before / self.every):
            self.renew()

    def renew(self) -> None:
        assert self.store is not None
        blob = self.store.get(KEY)
        assert blob is not None
        lease = json.loads(blob.data)
        self.store.put_if(KEY, json.dumps({**lease, "expires": lease["expires"] + self.every}).encode(), blob.version)

    store: LocalStore | None = None


def elsewhere(time: Time, *, expires: float = 60.0, **more: object) -> Lease:
    lease = Lease(
        id="abc", owner="ci", host="runner-7", machine="another", pid=1, operation="apply", since=time.wall,
        expires=time.wall + expires, length=60.0, epoch=7,
    )  # fmt: skip
    return replace(lease, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def write(store: LocalStore, lease: Lease) -> None:
    store.put_if(KEY, json.dumps(asdict(lease)).encode(), None)


def test_a_dead_holder_elsewhere_is_taken_over_after_one_lease_of_silence(store: LocalStore) -> None:
    time, said = Time(), list[str]()
    theirs = elsewhere(time)
    write(store, theirs)
    mine, taken_from = time.lock(store).acquire("apply", say=said.append)
    assert taken_from == theirs and mine.epoch == 8
    assert 60 <= time.slept < 63
    assert len(said) == 1 and "ci@runner-7" in said[0]


@pytest.mark.parametrize("ahead", [-3600.0, -100.0, 0.0, 100.0, 800.0])
def test_a_living_holder_keeps_its_lock_whatever_the_clocks_say(store: LocalStore, ahead: float) -> None:
    """``ahead``: how far our clock is ahead of the holder's. It renews every 20 s, as it should."""
    time = Time(every=20.0, store=store)
    write(store, elsewhere(time, expires=60.0 - ahead))
    with pytest.raises(StateLocked, match="ci@runner-7"):
        time.lock(store).acquire("apply")
    assert time.slept < 25, "it was seen to be alive long before that"
    with pytest.raises(StateLocked):
        time.lock(store).acquire("apply", 200.0)


def test_without_patience_the_holder_is_named_at_once(store: LocalStore) -> None:
    time = Time()
    write(store, elsewhere(time))
    with pytest.raises(StateLocked, match=r"ci@runner-7 \(pid 1, apply, lock abc\)") as caught:
        time.lock(store).acquire("apply", 0.0)
    assert time.slept == 0 and "state unlock abc" in caught.value.diagnostics[0].hint


def test_a_timeout_shorter_than_the_lease_is_kept(store: LocalStore) -> None:
    time = Time()
    write(store, elsewhere(time))
    with pytest.raises(StateLocked, match="did not come free within 30 s"):
        time.lock(store).acquire("apply", 30.0)
    assert 30 <= time.slept < 31


def test_a_lock_that_ran_out_long_ago_is_not_watched(store: LocalStore) -> None:
    time = Time()
    write(store, elsewhere(time, expires=-SKEW - 1))
    time.lock(store).acquire("apply")
    assert time.slept == 0


def test_the_length_of_the_holders_lease_counts_not_of_ours(store: LocalStore) -> None:
    time = Time()
    write(store, elsewhere(time, length=300.0))
    time.lock(store, lease=5.0).acquire("apply")
    assert 300 <= time.slept < 303


def test_a_lock_that_comes_free_while_we_wait_is_taken_at_once(store: LocalStore) -> None:
    time = Time()
    theirs = time.lock(store)
    theirs.acquire("destroy")
    blob = store.get(KEY)
    assert blob is not None and theirs.held is not None
    moved = replace(theirs.held, machine="another")
    theirs._version = store.put_if(KEY, json.dumps(asdict(moved)).encode(), blob.version)
    ours = Time(wall=time.wall)

    def sleep(seconds: float) -> None:
        ours.ticks += seconds
        if ours.ticks > 60:
            theirs.release()

    ours.sleep = sleep  # type: ignore[method-assign]
    mine, taken_from = ours.lock(store).acquire("apply", 600.0)
    assert taken_from is None and mine.epoch == 2 and ours.ticks < 65


def test_a_wait_can_be_cancelled(store: LocalStore) -> None:
    time = Time()
    write(store, elsewhere(time))
    with pytest.raises(Interrupted, match="stopped waiting"):
        time.lock(store).acquire("apply", 600.0, cancelled=lambda: time.slept > 10)
    assert time.slept < 15


def test_a_process_of_this_machine_is_looked_up(store: LocalStore) -> None:
    time = Time()
    held = time.lock(store)
    held.acquire("apply")
    with pytest.raises(StateLocked, match=f"pid {os.getpid()}"):
        time.lock(store).acquire("destroy")
    assert time.slept == 0
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert held.held is not None
    blob = store.get(KEY)
    assert blob is not None
    store.put_if(KEY, json.dumps(asdict(replace(held.held, pid=dead.pid, born="1"))).encode(), blob.version)
    assert time.lock(store).acquire("destroy")[1] is not None and time.slept == 0


def test_the_holder_knows_by_its_own_steady_clock_that_its_lease_ran_out(store: LocalStore) -> None:
    time = Time()
    lock = time.lock(store)
    lock.acquire("apply")
    time.ticks += 50
    lock.renew()
    time.ticks += 50
    time.wall -= 7200  # somebody sets the clock back
    lock.check()
    time.ticks += 11
    with pytest.raises(StateLocked, match="lost its lock"):
        lock.check()


def test_a_renewal_after_a_takeover_says_so(store: LocalStore) -> None:
    time = Time()
    lock = time.lock(store)
    mine, _ = lock.acquire("apply")
    time.lock(store).force_release(mine.id)
    time.lock(store).acquire("apply")
    with pytest.raises(StateLocked, match="lost its lock"):
        lock.renew()
    with pytest.raises(StateLocked, match="lost its lock"):
        lock.verify()
    lock.release()  # leaves the new holder's lock alone
    assert time.lock(store).holder() is not None


def test_the_lock_of_a_newer_version_is_respected_though_it_says_more(store: LocalStore) -> None:
    time = Time()
    tree = {**asdict(elsewhere(time)), "colour": "blue"}
    store.put_if(KEY, json.dumps(tree).encode(), None)
    with pytest.raises(StateLocked, match="ci@runner-7"):
        time.lock(store).acquire("apply", 0.0)
