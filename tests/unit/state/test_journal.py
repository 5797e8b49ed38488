"""Reading a journal that a crash, a restored backup or a careless copy left in disorder: right, or refused; never wrong."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map
from mlinfra.state import formats
from mlinfra.state import session as sessions
from mlinfra.state.entries import Drop, Entry, Record
from mlinfra.state.journal import read_journal
from mlinfra.state.segments import decode_snapshot, encode_segment, encode_snapshot, segment_key
from mlinfra.state.session import Location, open_session
from mlinfra.state.stores.local import LocalStore

NUMBERS = range(4, 9)
"""The segments after the snapshot, which contains 1 to 3."""


def resource(address: str, **attributes: object) -> ResourceState:
    return ResourceState(address=address, type="local.data", provider="local", id=f"id-{address}", attributes=Map(attributes))


def entries(number: int) -> list[Entry]:
    return [Record(resource=resource(f"r{number}", x="y" * number)), Drop(address=f"r{number - 2}")]


def put(folder: Path, key: str, data: bytes) -> None:
    path = folder / "p" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def sound(folder: Path) -> State:
    """A state of a snapshot and five segments; what it says."""
    put(folder, "state.json", encode_snapshot(State(lineage="l", serial=7, resources={("r2", ""): resource("r2")}), [], 3))
    for number in NUMBERS:
        put(folder, segment_key(number), encode_segment(number, 1, entries(number)))
    return read(folder)


def read(folder: Path) -> State:
    return read_journal(LocalStore(folder), "p/").ledger.freeze()


def path(folder: Path, number: int) -> Path:
    return folder / "p" / segment_key(number)


def reopened(folder: Path) -> State:
    """What it says after somebody wrote to it."""
    location = Location(LocalStore(folder), "p/")

    async def run() -> None:
        session = await asyncio.to_thread(open_session, location, "apply")
        await session.append(Record(resource=resource("later")))
        await session.close()

    asyncio.run(run())
    reading = location.reading()
    assert not reading.irregular and not reading.later and not reading.stale
    return reading.ledger.freeze()


def test_segments_under_each_others_names_are_read_in_their_own_order(tmp_path: Path) -> None:
    expected = sound(tmp_path)
    a, b = path(tmp_path, 5), path(tmp_path, 7)
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    assert read(tmp_path) == expected
    assert set(reopened(tmp_path).current()) == {*expected.current(), "later"}


@pytest.mark.parametrize("copy", [9, 12])
def test_a_copy_counts_once_and_its_place_is_not_written_to(tmp_path: Path, copy: int) -> None:
    expected = sound(tmp_path)
    path(tmp_path, copy).write_bytes(path(tmp_path, 6).read_bytes())
    assert read(tmp_path) == expected
    assert set(reopened(tmp_path).current()) == {*expected.current(), "later"}


def test_a_torn_end_is_set_aside_and_the_rest_stands(tmp_path: Path) -> None:
    expected = sound(tmp_path)
    torn = path(tmp_path, 9)
    torn.write_bytes(path(tmp_path, 8).read_bytes()[:-20])
    assert read(tmp_path) == expected
    assert set(reopened(tmp_path).current()) == {*expected.current(), "later"}
    assert len(list((tmp_path / "p/damaged").iterdir())) == 1


def test_an_altered_end_is_no_torn_one_and_is_refused(tmp_path: Path) -> None:
    sound(tmp_path)
    last = path(tmp_path, 8)
    last.write_bytes(last.read_bytes().replace(b"yyyyyyyy", b"yyyyzyyy"))
    with pytest.raises(StateError, match="000000000008 is damaged"):
        read(tmp_path)


def test_a_gap_is_refused(tmp_path: Path) -> None:
    sound(tmp_path)
    path(tmp_path, 6).unlink()
    with pytest.raises(StateError, match="000000000006 is missing, and later ones exist"):
        read(tmp_path)


def test_two_different_segments_of_one_number_are_refused(tmp_path: Path) -> None:
    sound(tmp_path)
    path(tmp_path, 9).write_bytes(encode_segment(6, 1, [Drop(address="r4")]))
    with pytest.raises(StateError, match="two different journal segments carry the number 6"):
        read(tmp_path)


def test_files_of_others_in_the_journal_are_left_alone(tmp_path: Path) -> None:
    expected = sound(tmp_path)
    put(tmp_path, "journal/Thumbs.db", b"x")
    assert read(tmp_path) == expected
    reopened(tmp_path)
    assert (tmp_path / "p/journal/Thumbs.db").exists()


@st.composite
def mishaps(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    number = st.sampled_from(list(NUMBERS))
    one = st.one_of(
        st.tuples(st.just("truncate"), number, st.integers(0, 400)),
        st.tuples(st.just("flip"), number, st.integers(0, 400)),
        st.tuples(st.just("zero"), number, st.integers(0, 400)),
        st.tuples(st.just("remove"), number),
        st.tuples(st.just("copy"), number, st.integers(1, 14)),
        st.tuples(st.just("swap"), number, number),
    )
    return draw(st.lists(one, min_size=1, max_size=4))


def happen(folder: Path, mishap: tuple[Any, ...]) -> None:
    kind, number, *rest = mishap
    file = path(folder, number)
    if not file.exists():
        return
    data = file.read_bytes()
    if kind == "truncate":
        file.write_bytes(data[: rest[0]])
    elif kind == "flip":
        at = min(rest[0], len(data) - 1)
        if at >= 0:
            file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    elif kind == "zero":
        file.write_bytes(data[: rest[0]] + bytes(max(0, len(data) - rest[0])))
    elif kind == "remove":
        file.unlink()
    elif kind == "copy":
        path(folder, rest[0]).write_bytes(data)
    else:
        other = path(folder, rest[0])
        if other.exists():
            file.write_bytes(other.read_bytes())
            other.write_bytes(data)


@settings(max_examples=300, deadline=None)
@given(mishaps())
def test_whatever_happens_to_the_files_the_state_is_one_that_was_durable_or_it_is_refused(what: list[tuple[Any, ...]]) -> None:
    """A missing or torn end cannot be told from one that never was; everything else must be noticed or mended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound(folder)
        prefixes = []
        for number in [3, *NUMBERS]:
            aside = {n: path(folder, n).read_bytes() for n in NUMBERS if n > number}
            for n in aside:
                path(folder, n).unlink()
            prefixes.append(read(folder))
            for n, data in aside.items():
                path(folder, n).write_bytes(data)
        for mishap in what:
            happen(folder, mishap)
        try:
            found = read(folder)
        except StateError:
            return
        assert found in prefixes
        assert set(reopened(folder).current()) == {*found.current(), "later"}


def test_a_long_apply_folds_its_journal_in_while_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HEAVY", 200_000)
    location = Location(LocalStore(tmp_path), "p/")
    written: list[str] = []

    class Watched(LocalStore):
        def put_if(self, key: str, data: bytes, version: str | None) -> str:
            written.append(key)
            return super().put_if(key, data, version)

    async def run() -> int:
        session = await asyncio.to_thread(open_session, Location(Watched(tmp_path), "p/"), "apply")
        for number in range(100):
            await session.append(Record(resource=resource(f"r{number}")))
        live = len(location.reading().later)  # as a crash would leave it
        assert len(location.read().resources) == 100
        await session.close()
        return live

    assert asyncio.run(run()) < 30
    snapshots = written.count("p/state.json")
    assert 2 <= snapshots <= 8, "folded in now and then, not with every step"
    assert len(location.read().resources) == 100


def test_a_state_of_the_first_format_is_read_and_written_as_todays(tmp_path: Path) -> None:
    kept = Path(__file__).parent / "format_1"
    for file in kept.rglob("*"):
        if file.is_file():
            put(tmp_path, file.relative_to(kept).as_posix(), file.read_bytes())
    before = read(tmp_path)
    assert set(before.current()) == {"raw", "one", "later"} and before.serial == 10
    reopened(tmp_path)
    data = (tmp_path / "p/state.json").read_bytes()
    assert json.loads(data.partition(b"\n")[0])["format"] == formats.FORMAT
    assert decode_snapshot(data).state.current().keys() >= before.current().keys()


def test_a_format_without_a_way_to_today_is_refused() -> None:
    with pytest.raises(StateError, match="in the format 0"):
        formats.upgrade({"format": 0, "mlinfra": "0.0.1"}, [])
    assert sorted(formats.MIGRATIONS) == list(range(1, formats.FORMAT))
