"""What every store promises, asked of all of them: seven kinds of place, one suite."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from live.servers.cutting_proxy import cutting_proxy

from mlinfra.model.errors import StateLocked
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map
from mlinfra.state.entries import Record
from mlinfra.state.session import Location, open_session
from mlinfra.state.store import Blob, Store, StoreConflict, close_store, delete_all, hold_store

pytestmark = pytest.mark.live

INCREMENTS = 1000


@pytest.fixture
def store(place: Any) -> Iterator[Store]:
    opened = place.open()
    yield opened
    close_store(opened)


@pytest.fixture
def other(place: Any) -> Iterator[Store]:
    """A second client of the same place."""
    opened = place.open()
    yield opened
    close_store(opened)


def record(address: str) -> Record:
    return Record(resource=ResourceState(address=address, type="local.data", provider="local", id=address, attributes=Map(x=1)))


class TestConformance:
    def test_an_empty_place_holds_nothing(self, store: Store) -> None:
        assert store.get("a/b") is None and store.list("") == [] and store.list("a/") == []
        store.delete("a/b")

    @pytest.mark.parametrize("data", [b"", b"text\n", bytes(range(256)) * 4, "ключ".encode(), b"x" * 3_000_000])
    def test_what_was_put_is_got_with_its_version(self, store: Store, data: bytes) -> None:
        version = store.put_if("p/dev/state.json", data, None)
        assert store.get("p/dev/state.json") == Blob(data, version)
        assert store.get("p/dev/state") is None and store.get("p/dev") is None

    def test_creating_what_exists_is_refused(self, store: Store, other: Store) -> None:
        version = store.put_if("a", b"one", None)
        with pytest.raises(StoreConflict):
            other.put_if("a", b"two", None)
        assert other.get("a") == Blob(b"one", version)

    def test_writing_over_another_version_is_refused(self, store: Store, other: Store) -> None:
        first = store.put_if("a", b"one", None)
        second = other.put_if("a", b"two", first)
        with pytest.raises(StoreConflict):
            store.put_if("a", b"three", first)
        with pytest.raises(StoreConflict):
            store.put_if("never", b"x", first)
        assert store.get("a") == Blob(b"two", second) and store.get("never") is None

    def test_a_deleted_blob_can_only_be_made_anew(self, store: Store, other: Store) -> None:
        first = store.put_if("a", b"one", None)
        other.delete("a")
        with pytest.raises(StoreConflict):
            store.put_if("a", b"two", first)
        store.put_if("a", b"two", None)
        assert other.get("a").data == b"two"  # type: ignore[union-attr]

    def test_what_one_client_wrote_the_other_sees_at_once(self, store: Store, other: Store) -> None:
        version: str | None = None
        for i in range(10):
            version = (store, other)[i % 2].put_if("n", str(i).encode(), version)
            assert (other, store)[i % 2].get("n") == Blob(str(i).encode(), version)
            assert (other, store)[i % 2].list("n") == ["n"]

    def test_a_list_is_sorted_and_by_prefix_and_deleted_keys_are_gone(self, store: Store) -> None:
        for key in ("j/2", "j/1", "j/10", "k/1", "j%x"):
            store.put_if(key, b"x", None)
        assert store.list("j/") == ["j/1", "j/10", "j/2"] and store.list("j/1") == ["j/1", "j/10"] and store.list("x/") == []
        delete_all(store, ["j/1", "j/never", "j/10"])
        assert store.list("j/") == ["j/2"] and store.list("") == ["j%x", "j/2", "k/1"]

    def test_a_list_goes_on_beyond_a_page(self, store: Store) -> None:
        keys = [f"journal/{i:012d}" for i in range(1010)]
        hold_store(store)
        for key in keys:
            store.put_if(key, b"", None)
        store.put_if("state.json", b"", None)
        assert store.list("journal/") == keys
        delete_all(store, keys)
        assert store.list("") == ["state.json"]

    @pytest.mark.slow
    def test_increments_of_four_clients_lose_none(self, place: Any) -> None:
        """Each value names its writer, as all that mlinfra writes does: that tells a repeated write from another's."""
        first = place.open()
        first.put_if("n", b"0 nobody", None)
        failures: list[BaseException] = []

        def work(name: str) -> None:
            mine = place.open()
            try:
                for _ in range(INCREMENTS // 4):
                    while True:
                        blob = mine.get("n")
                        assert blob is not None
                        try:
                            mine.put_if("n", f"{int(blob.data.split()[0]) + 1} {name}".encode(), blob.version)
                            break
                        except StoreConflict:
                            time.sleep(random.random() * 0.02)
            except BaseException as error:  # noqa: BLE001  (shown by the test)
                failures.append(error)
            finally:
                close_store(mine)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert first.get("n").data.split()[0] == str(INCREMENTS).encode()
        close_store(first)

    def test_what_a_session_wrote_is_read_by_others_before_and_after_it_ends(self, store: Store, other: Store) -> None:
        mine, theirs = Location(store, "p/dev/"), Location(other, "p/dev/")

        async def run() -> None:
            session = await asyncio.to_thread(open_session, mine, "apply")
            await session.append(record("a"))
            assert set(theirs.read().freeze().current()) == {"a"}
            with pytest.raises(StateLocked, match="apply"):
                open_session(theirs, "destroy")
            await session.append(record("b"))
            await session.close()
            again = await asyncio.to_thread(open_session, theirs, "apply")
            await again.append(record("c"))
            await again.close()

        asyncio.run(run())
        assert set(mine.read().freeze().current()) == {"a", "b", "c"} and mine.read().freeze().problems() == []

    def test_a_holder_that_lost_its_lock_cannot_write(self, store: Store, other: Store) -> None:
        mine, theirs = Location(store, "p/dev/"), Location(other, "p/dev/")

        async def run() -> None:
            stale = await asyncio.to_thread(open_session, mine, "apply")
            await stale.append(record("before"))
            theirs.unlock(stale.lease.id)
            fresh = await asyncio.to_thread(open_session, theirs, "apply")
            await fresh.append(record("fresh"))
            with pytest.raises(StateLocked, match="lost its lock"):
                await stale.append(record("stale"))
            await fresh.append(record("later"))
            await fresh.close()
            await stale.close()

        asyncio.run(run())
        assert set(Location(store, "p/dev/").read().freeze().current()) == {"before", "fresh", "later"}

    def test_what_a_killed_run_left_is_taken_up_by_the_next(self, store: Store, other: Store) -> None:
        """The run ends without closing anything: no snapshot, the lock (and the server's own, where there is one) still held."""
        mine, theirs = Location(store, "p/dev/"), Location(other, "p/dev/")

        async def run() -> None:
            gone = await asyncio.to_thread(open_session, mine, "apply")
            await gone.append(record("a"))
            gone._stop_renewing.set()
            theirs.unlock(gone.lease.id)
            session = await asyncio.to_thread(open_session, theirs, "apply")
            await session.append(record("b"))
            await session.close()

        asyncio.run(run())
        assert set(theirs.read().freeze().current()) == {"a", "b"}


@pytest.mark.parametrize("name", ["s3", "gcs", "azure", "postgres"])
def test_a_prefix_keeps_states_in_one_place_apart(place_of: Any, name: str) -> None:
    place = place_of(name)
    with (
        closing(place.open(prefix="team/a")) as a,
        closing(place.open(prefix="/team/ab/")) as ab,
        closing(place.open()) as all_of_it,
    ):
        a.put_if("p/dev/state.json", b"a", None)
        ab.put_if("p/dev/state.json", b"ab", None)
        assert a.list("") == ab.list("p/") == ["p/dev/state.json"]
        assert a.get("p/dev/state.json").data == b"a"
        assert all_of_it.list("") == ["team/a/p/dev/state.json", "team/ab/p/dev/state.json"]
        delete_all(a, a.list(""))
        assert all_of_it.list("") == ["team/ab/p/dev/state.json"]


@pytest.mark.parametrize(
    ("name", "method"), [("s3", "PUT"), ("gcs", "POST"), ("azure", "PUT"), ("http", "POST"), ("http", "LOCK")]
)
def test_a_write_whose_answer_is_lost_counts_once_and_is_no_conflict(place_of: Any, name: str, method: str) -> None:
    place = place_of(name)
    with cutting_proxy(place.upstream) as proxy:
        store = place.through(proxy.address).open()
        store.put_if("warm", b"", None)
        proxy.cut = method
        version = store.put_if("a", b"one", None)
        assert proxy.lost == 1
        assert store.get("a") == Blob(b"one", version)
        proxy.cut = method
        store.put_if("a", b"two", version)
        assert proxy.lost == 2
        with pytest.raises(StoreConflict):
            store.put_if("a", b"three", version)
        close_store(store)


def test_a_connection_that_breaks_is_opened_again(place_of: Any) -> None:
    store = place_of("postgres").open()
    version = store.put_if("a", b"one", None)
    store._connection.close()
    assert store.get("a") == Blob(b"one", version)
    store._connection.close()
    store.put_if("a", b"two", version)
    store.close()
    assert store.get("a").data == b"two"
    store.close()


def test_local_files_are_for_their_owner_alone(place_of: Any, tmp_path: Path) -> None:
    place = place_of("local")
    place.open().put_if("p/dev/state.json", b"{}", None)
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / place.block["path"]).rglob("*") if p.is_file()}
    assert modes == {0o600}
