"""The doctor names what is wrong, says what to do about it, and mends what needs no guess; push puts a state in place of another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map, SecretDigest
from mlinfra.state.doctor import examine, repair
from mlinfra.state.entries import Intent, Record
from mlinfra.state.exchange import from_text, push, to_text
from mlinfra.state.history import HistoryEntry, append_history, read_history
from mlinfra.state.lock import Lease
from mlinfra.state.segments import decode_snapshot, encode_segment, encode_snapshot, segment_key
from mlinfra.state.session import Location, Session, open_session
from mlinfra.state.stores.local import LocalStore


def resource(address: str, **more: object) -> ResourceState:
    return replace(ResourceState(address=address, type="local.data", provider="local", id=f"id-{address}"), **more)  # type: ignore[arg-type]


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return Location(LocalStore(tmp_path), "p/")


def edit(location: Location, act: Callable[[Session], Awaitable[object]]) -> None:
    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        try:
            await act(session)
        finally:
            await session.close()

    asyncio.run(run())


def write(location: Location, *resources: ResourceState) -> None:
    edit(location, lambda s: s.append(*(Record(resource=r) for r in resources)))


def codes(location: Location) -> list[str]:
    return [f.code for f in examine(location)]


def mend(location: Location) -> list[str]:
    edit(location, lambda s: repair(s, location))
    return codes(location)


def put(location: Location, key: str, data: bytes) -> None:
    found = location.store.get("p/" + key)
    location.store.put_if("p/" + key, data, found.version if found else None)


def test_a_sound_state_has_nothing(location: Location) -> None:
    assert examine(location) == []
    write(location, resource("a"), resource("b", dependencies=("a",)))
    assert examine(location) == []


def test_dependencies_on_nothing_are_left_out_and_twins_are_told(location: Location) -> None:
    write(location, resource("a", dependencies=("gone",)), resource("b"), resource("c", id="id-b"))
    assert {f.message: f.safe for f in examine(location)} == {"c and b record the same local.data id-b": False}
    assert location.read().freeze().resources[("a", "")].dependencies == ()


def test_what_a_crash_left_in_the_journal_is_cleared_away(location: Location) -> None:
    write(location, resource("a"))
    position = location.reading().position
    put(location, segment_key(position + 1), encode_segment(position + 1, 1, [Record(resource=resource("b"))]))
    put(location, segment_key(position + 2), b'{"format": 2, "jour')
    put(location, segment_key(position + 4), encode_segment(position + 1, 1, [Record(resource=resource("b"))]))
    assert sorted(codes(location)) == ["journal.misplaced", "journal.torn"]
    assert mend(location) == ["state.set_aside"]
    assert set(location.read().freeze().current()) == {"a", "b"}


def test_segments_of_a_compaction_that_was_cut_off_are_cleared_away(location: Location) -> None:
    write(location, resource("a"))
    blob = location.store.get("p/state.json")
    assert blob is not None
    snapshot = decode_snapshot(blob.data)
    put(location, "state.json", encode_snapshot(snapshot.state, [], snapshot.position, epoch=1))  # fences forgotten
    assert set(codes(location)) == {"journal.stale"}
    assert mend(location) == []


def test_each_bad_blob_is_named_when_the_whole_cannot_be_read(location: Location) -> None:
    write(location, resource("a"))
    position = location.reading().position
    for number in (position + 1, position + 2, position + 3):
        put(location, segment_key(number), encode_segment(number, 1, [Record(resource=resource(f"r{number}"))]))
    key = segment_key(position + 2)
    blob = location.store.get("p/" + key)
    assert blob is not None
    put(location, key, blob.data.replace(b"local.data", b"local.dat4"))
    found = examine(location)
    assert [f.code for f in found] == ["state.damaged", "journal.altered"]
    assert all(key in f.message and f.remedy and not f.safe for f in found)
    location.store.delete("p/state.json")
    put(location, "state.json", b"{}\n")
    assert codes(location) == ["state.damaged"]


def test_a_lock_left_behind_is_freed_and_a_live_one_is_only_mentioned(location: Location) -> None:
    async def during(session: Session) -> None:
        await session.append(Intent(op="1" * 32, operation="create", address="x", resource=resource("x", id="")))
        found = await asyncio.to_thread(examine, location)
        assert [(f.code, f.note) for f in found] == [("lock.held", True), ("state.open_intent", True)]

    edit(location, during)
    dead = Lease(id="abc", owner="me", host="here", machine="elsewhere", pid=1, expires=1.0, epoch=3)
    put(location, "lock.json", json.dumps(asdict(dead)).encode())
    found = examine(location)
    assert [(f.code, f.safe, f.note) for f in found] == [("lock.orphaned", True, True), ("state.open_intent", False, False)]
    assert "mlinfra state rm x" in found[1].remedy
    assert mend(location) == ["state.open_intent"]


def test_a_damaged_history_entry_is_set_aside(location: Location) -> None:
    for _ in range(2):
        append_history(location, HistoryEntry(number=0, time=1.0, operation="apply", summary="s", serial=1))
    put(location, "history/00000001.json.gz", b"\x1f\x8bnonsense")
    assert codes(location) == ["history.damaged"]
    assert mend(location) == ["state.set_aside"]
    assert [e.number for e in read_history(location)] == [2]


def test_history_keeps_as_many_as_it_is_told_to(tmp_path: Path) -> None:
    location = Location(LocalStore(tmp_path), "p/", keep=3)
    for serial in range(7):
        append_history(location, HistoryEntry(number=0, time=1.0, operation="apply", summary="s", serial=serial))
    assert [e.serial for e in read_history(location)] == [4, 5, 6]


def test_a_pulled_state_goes_into_an_empty_place_exactly(location: Location, tmp_path: Path) -> None:
    attributes = Map({"$odd": 1, "key": SecretDigest("d"), "list": (1, None, Map({"x": True})), "half": 0.5})
    write(location, resource("a", attributes=attributes, version=7), resource("a", deposed="k", id="old"))
    write(location, resource("b", dependencies=("a",)))
    text = to_text(location.read().freeze())
    assert from_text(text, "f") == location.read().freeze()
    other = Location(LocalStore(tmp_path / "other"), "p/")
    edit(other, lambda s: push(s, from_text(text, "f"), force=False))
    assert to_text(other.read().freeze()) == text


def test_a_foreign_an_older_and_a_broken_state_are_refused_unless_forced(location: Location) -> None:
    write(location, resource("a"))
    old = location.read().freeze()
    write(location, resource("b"))
    before = location.read().freeze()
    foreign = replace(before, lineage="another")
    broken = State(lineage=before.lineage, serial=before.serial, resources={("x", ""): resource("x", id="")})
    for pushed, why in ((foreign, "lineage"), (old, "older"), (broken, "x has no id")):
        with pytest.raises(StateError, match=why):
            edit(location, lambda s, p=pushed: push(s, p, force=False))  # type: ignore[misc]
        assert location.read().freeze().resources == before.resources
    edit(location, lambda s: push(s, old, force=True))
    after = location.read().freeze()
    assert set(after.current()) == {"a"} and after.serial > before.serial


def test_a_pushed_change_makes_saved_plans_stale(location: Location) -> None:
    write(location, resource("a"), resource("b"))
    before = location.read().freeze()
    changed = replace(before, resources={**before.resources, ("a", ""): resource("a", id="other")})
    edit(location, lambda s: push(s, changed, force=False))
    after = location.read().freeze()
    assert after.get("a").version > before.get("a").version  # type: ignore[union-attr]
    assert after.get("b") == before.get("b")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 4, "terraform_version": "1.9"}', '{"resources": [{}]}'])
def test_what_is_no_state_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(StateError, match=r"x\.json is no state of mlinfra"):
        from_text(text, "x.json")


def test_open_intents_survive_a_push(location: Location) -> None:
    edit(location, lambda s: s.append(Intent(op="1" * 32, operation="create", address="x", resource=resource("x", id=""))))
    pushed = replace(location.read().freeze(), resources={("a", ""): resource("a")})
    edit(location, lambda s: push(s, pushed, force=False))
    assert list(location.read().intents) == ["1" * 32]
