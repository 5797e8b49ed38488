"""What came of a step is handed to the journal and not waited for. What must hold all the same: it is on record before anything that
needs it is sent to the world, and before anybody is told of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fakes.lab import Lab, thing

from mlinfra.model.events import Event, StepFinished, StepStarted
from mlinfra.model.resource import Resource
from mlinfra.model.values import Ref
from mlinfra.state.store import StoreUnavailable
from mlinfra.state.stores.local import LocalStore


def chain(length: int, type: str = "fake.thing") -> tuple[Resource, ...]:
    """Each refers to the one before it; between two of the world's stands one that lives in the state alone."""
    made = [thing("r0", type="local.data", input="begin")]
    for n in range(1, length):
        before = Ref(f"r{n - 1}", ("url",) if n % 2 == 0 and type != "local.data" else ("output",))
        made.append(thing(f"r{n}", type=type, value=before) if n % 2 and type != "local.data" else data(n, before))
    return tuple(made)


def data(n: int, value: Ref) -> Resource:
    return thing(f"r{n}", type="local.data", input=value)


class Counting(LocalStore):
    """Counts the journal's segments; ``pause`` makes each take a while, ``last`` is the last that can be written."""

    def __init__(self, root: Path, *, pause: float = 0.0, last: int = 10**6) -> None:
        super().__init__(root)
        self.pause, self.last, self.segments = pause, last, 0

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        if "/journal/" in key:
            self.segments += 1
            if self.segments > self.last:
                raise StoreUnavailable("the disk is gone")
            time.sleep(self.pause)
        return super().put_if(key, data, version)


def test_what_a_creation_needs_is_on_record_before_it_is_sent(tmp_path: Path) -> None:
    lab, asked = Lab(tmp_path), []

    def look(operation: str, name: str) -> None:
        if operation != "create":
            return
        recorded = lab.location.read()
        number = int(name.removeprefix("r"))
        assert {f"r{n}" for n in range(number)} == {address for address, _ in recorded.resources}
        assert name in {intent.address for intent in recorded.intents.values()}
        asked.append(name)

    lab.cloud.before = look
    assert not lab.run(*chain(8)).failures
    assert asked == ["r1", "r3", "r5", "r7"]


def test_what_was_made_of_it_is_off_the_record_before_a_deletion_is_sent(tmp_path: Path) -> None:
    lab, asked = Lab(tmp_path), []
    lab.run(*chain(8))

    def look(operation: str, name: str) -> None:
        if operation != "delete":
            return
        recorded = lab.location.read()
        assert {address for address, _ in recorded.resources} == {f"r{n}" for n in range(int(name.removeprefix("r")) + 1)}
        asked.append(name)

    lab.cloud.before = look
    assert not lab.run().failures
    assert asked == ["r7", "r5", "r3", "r1"]


@pytest.mark.parametrize("type", ["fake.thing", "local.data"])
def test_nobody_is_told_of_what_is_not_on_record(tmp_path: Path, type: str) -> None:
    lab = Lab(tmp_path)
    told: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, StepFinished):
            told.append(event.address)
            assert ((event.address, "") in lab.location.read().resources) is (event.operation == "create")

    lab.on_event = look
    lab.run(*chain(9, type))
    lab.run()
    assert told == [f"r{n}" for n in range(9)] + [f"r{n}" for n in reversed(range(9))]


def test_a_step_is_told_to_begin_after_what_it_needs_is_told_to_be_done(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*chain(9, "local.data"))
    told = [(type(e).__name__, e.address) for e in lab.events if isinstance(e, (StepStarted, StepFinished))]
    assert told == [(name, f"r{n}") for n in range(9) for name in ("StepStarted", "StepFinished")]


def test_a_long_chain_that_needs_no_world_does_not_wait_for_the_disk_at_each_link(tmp_path: Path) -> None:
    store = Counting(tmp_path / "state", pause=0.05)
    lab = Lab(tmp_path, store=store)
    lab.run(*chain(40, "local.data"))
    assert store.segments < 20


def test_a_record_and_the_next_intent_share_a_segment(tmp_path: Path) -> None:
    store = Counting(tmp_path / "state", pause=0.01)
    lab = Lab(tmp_path, store=store)
    things = [thing("r0"), *(thing(f"r{n}", value=Ref(f"r{n - 1}", ("url",))) for n in range(1, 10))]
    lab.run(*things)
    assert store.segments == 12, "the holder's first, the first intent, nine of a record with the next intent, the last record"


def test_when_the_state_cannot_be_written_what_is_not_on_record_is_not_told_as_done(tmp_path: Path) -> None:
    store = Counting(tmp_path / "state", last=1)
    lab = Lab(tmp_path, store=store)
    with pytest.raises(StoreUnavailable):
        lab.run(*chain(3, "local.data"))
    assert not any(isinstance(e, StepFinished) for e in lab.events)
    assert not lab.state.resources
