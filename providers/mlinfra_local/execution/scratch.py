"""Temporary folders and locks that a crash cannot leave behind: both hang on ``flock``, which the kernel frees."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Scratch:
    """``lock`` is the file descriptor that keeps ``folder`` alive; a child that inherits it keeps the folder too."""

    folder: Path
    lock: int


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Scratch]:
    """A new folder below ``parent/tmp``, removed in the end; those of dead processes are removed first."""
    area = parent / "tmp"
    area.mkdir(parents=True, exist_ok=True)
    _clean(area)
    while True:
        name = secrets.token_hex(6)
        lock = os.open(area / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # A cleaner that came between open and flock took the file for a dead one's.
        if _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            break
        os.close(lock)
    folder = area / name
    try:
        folder.mkdir()
        yield Scratch(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (area / f"{name}.lock").unlink(missing_ok=True)
        os.close(lock)
        remove_empty(area)


def clean(parent: Path) -> None:
    """Remove what dead processes left below ``parent/tmp``."""
    area = parent / "tmp"
    if area.is_dir():
        _clean(area)
        remove_empty(area)


@contextlib.asynccontextmanager
async def locked(file: Path) -> AsyncIterator[int]:
    """Hold an exclusive lock on ``file`` (made when absent) among all processes; gives its file descriptor."""
    while (lock := _open_lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:  # noqa: ASYNC110  no event tells of another process
        await asyncio.sleep(_POLL)
    try:
        yield lock
    finally:
        os.close(lock)


@contextlib.contextmanager
def locked_now(file: Path) -> Iterator[None]:
    """The same for short work in a thread: blocks."""
    while (lock := _open_lock(file, fcntl.LOCK_EX)) is None:
        pass
    try:
        yield
    finally:
        os.close(lock)


def remove_empty(folder: Path) -> None:
    """Remove the folder if nothing is in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def write_atomically(file: Path, text: str) -> None:
    """Readers see the old text or the new, never half of it. What a kill leaves beside it, the next write of the file takes over."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.new")
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if temporary.stat().st_ino == os.fstat(descriptor).st_ino:
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, text.encode())
                    temporary.replace(file)
                    return
        finally:
            os.close(descriptor)


def _clean(area: Path) -> None:
    for file in area.glob("*.lock"):
        try:
            lock = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            if _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(file.with_suffix(""), ignore_errors=True)
                file.unlink(missing_ok=True)
        finally:
            os.close(lock)


def _open_lock(file: Path, how: int) -> int | None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    if _lock(lock, how):
        return lock
    os.close(lock)
    return None


def _lock(lock: int, how: int) -> bool:
    """False when somebody else holds it, or removed the file meanwhile: then the lock would bind nobody."""
    try:
        fcntl.flock(lock, how)
    except BlockingIOError:
        return False
    return os.fstat(lock).st_nlink > 0
