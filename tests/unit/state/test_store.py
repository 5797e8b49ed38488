"""The promises of a store, kept by the local directory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlinfra.state.store import StoreConflict
from mlinfra.state.stores.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "state")


def test_what_was_put_is_got_with_its_version(store: LocalStore) -> None:
    version = store.put_if("a/b", b"one", None)
    blob = store.get("a/b")
    assert blob is not None and (blob.data, blob.version) == (b"one", version)
    assert store.get("a/c") is None and store.get("a/b/c") is None


def test_creating_what_exists_is_refused(store: LocalStore) -> None:
    store.put_if("a", b"one", None)
    with pytest.raises(StoreConflict):
        store.put_if("a", b"two", None)
    assert store.get("a").data == b"one"  # type: ignore[union-attr]


def test_writing_over_another_version_is_refused(store: LocalStore) -> None:
    first = store.put_if("a", b"one", None)
    store.put_if("a", b"two", first)
    with pytest.raises(StoreConflict):
        store.put_if("a", b"three", first)
    with pytest.raises(StoreConflict):
        store.put_if("never", b"x", first)


def test_a_list_is_sorted_and_by_prefix_and_a_deleted_key_is_gone(store: LocalStore) -> None:
    for key in ("j/2", "j/1", "j/10", "k/1"):
        store.put_if(key, b"", None)
    assert store.list("j/") == ["j/1", "j/10", "j/2"] and store.list("j/1") == ["j/1", "j/10"] and store.list("x/") == []
    store.delete("j/1")
    store.delete("j/1")
    assert store.list("j/") == ["j/10", "j/2"]


def test_increments_from_many_threads_lose_none(store: LocalStore) -> None:
    store.put_if("n", b"0", None)

    def work() -> None:
        for _ in range(25):
            while True:
                blob = store.get("n")
                assert blob is not None
                try:
                    store.put_if("n", str(int(blob.data) + 1).encode(), blob.version)
                    break
                except StoreConflict:
                    continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("n").data == b"100"  # type: ignore[union-attr]


def test_a_failed_write_leaves_nothing_behind(store: LocalStore, tmp_path: Path) -> None:
    store.put_if("a", b"one", None)
    with pytest.raises(StoreConflict):
        store.put_if("a", b"two", None)
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["a"]


@pytest.mark.parametrize("trial", range(12))
def test_a_kill_in_the_middle_of_a_write_leaves_the_old_content_or_the_new(tmp_path: Path, trial: int) -> None:
    """A child writes two megabytes over and over, each time all of one letter, until it is killed at some moment."""
    script = (
        "import sys; from pathlib import Path; from mlinfra.state.stores.local import LocalStore\n"
        "s = LocalStore(Path(sys.argv[1])); v = s.put_if('a', b'a' * 2_000_000, None); print('ready', flush=True); i = 0\n"
        "while True: i += 1; v = s.put_if('a', bytes([97 + i % 26]) * 2_000_000, v)"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    time.sleep(0.003 * trial)
    child.kill()
    child.wait()
    child.stdout.close()
    blob = LocalStore(tmp_path).get("a")
    assert blob is not None and len(blob.data) == 2_000_000 and len(set(blob.data)) == 1
    assert LocalStore(tmp_path).list("") == ["a"]
    LocalStore(tmp_path).put_if("a", b"after", blob.version)
