"""State in a local directory: files and the file system's own guarantees."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlinfra.state.store import Blob, StoreConflict


class LocalStore:
    """A directory. Files are 0600, written beside and linked or renamed into place, synced with their directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, key: str) -> Blob | None:
        try:
            data = (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return Blob(data, _version(data))

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        path = self._root / key
        self._make(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
        _write_synced(temporary, data)
        try:
            if version is None:
                os.link(temporary, path)  # atomic, and refuses an existing file
            else:
                with self._guard():
                    found = self.get(key)
                    if found is None or found.version != version:
                        raise StoreConflict(key)
                    temporary.replace(path)
        except FileExistsError:
            raise StoreConflict(key) from None
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        _sync_directory(path.parent)
        return _version(data)

    def list(self, prefix: str) -> list[str]:
        folder = self._root / prefix.rpartition("/")[0]
        if not folder.is_dir():
            return []
        found = (
            Path(where, name).relative_to(self._root).as_posix()
            for where, _, names in os.walk(folder)
            for name in names
            if not name.startswith(".")
        )
        return sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            (self._root / key).unlink()

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Serialises compare-and-swap between processes; freed by the kernel when its holder dies."""
        descriptor = os.open(self._root / ".guard", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
