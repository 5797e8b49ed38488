"""Which processes belong to a service: told by pid and creation time, and by the mark in their environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

VARIABLE = "MLINFRA_SERVICE"
"""Every process of a service has its folder in this variable of its environment."""

_POLL = 0.05
_CLOCK = 2.0  # seconds that a process's creation time may seem to move when the clock is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process as it was started. ``started`` is its creation time (seconds since 1970): with the pid, its identity."""

    name: str
    pid: int
    port: int
    started: float
    stop_signal: int = signal.SIGTERM


children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this very process started: they must be waited for, or they stay zombies."""


def process(folder: Path, service: Service) -> psutil.Process | None:
    """The live process behind a record: same pid, same creation time, same folder; None when the pid is somebody else's."""
    import psutil

    reap(service.pid)
    try:
        process = psutil.Process(service.pid)
        if abs(process.create_time() - service.started) > _CLOCK or is_over(process):
            return None
        with contextlib.suppress(psutil.AccessDenied):
            if mark_of(process) not in (None, str(folder)):
                return None
        return process
    except psutil.Error:
        return None


def mark_of(process: psutil.Process) -> str | None:
    """The folder that it was started for; None when it is no service's."""
    return process.environ().get(VARIABLE)


def moved_from(service: Service) -> str | None:
    """Where its folder was when it was started, when nothing is there any more: the project was moved under a running service.
    Of a copied project the first folder is still there, and the process belongs to that one."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(service.pid)
        home = mark_of(process)
        if home and abs(process.create_time() - service.started) <= _CLOCK and not Path(home).exists():
            return home
    return None


def marked(homes: Sequence[str]) -> list[psutil.Process]:
    """All processes whose environment names one of these folders; never this process or those that it runs under."""
    import psutil

    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        reap(process.pid)
        with contextlib.suppress(psutil.Error, OSError):
            if mark_of(process) in homes and not is_over(process):
                found.append(process)
    return found


def members(homes: Sequence[str], service: Service | None) -> list[psutil.Process]:
    """Every process of the service: those that carry its mark, and those of its process group that threw the mark away."""
    import psutil

    found = {p.pid: p for p in marked(homes)}
    if service is not None:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                same_group = os.getpgid(process.pid) == service.pid
                # A copied project's record names the group of the project that it was copied from.
                if same_group and process.create_time() >= service.started - _CLOCK and mark_of(process) in (None, *homes):
                    found.setdefault(process.pid, process)
    return list(found.values())


def wait(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until they are gone; those that are left after ``timeout`` seconds."""
    left = {p.pid: p for p in processes}
    deadline = time.monotonic() + timeout
    while True:
        for pid, process in list(left.items()):
            reap(pid)
            if is_over(process):
                del left[pid]
        if not left or time.monotonic() >= deadline:
            return list(left.values())
        time.sleep(_POLL)


def is_over(process: psutil.Process) -> bool:
    """Gone, or a zombie all of whose threads have ended: before that it may still hold its port."""
    import psutil

    try:
        return not process.is_running() or (process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.NoSuchProcess:
        return True


def reap(pid: int) -> None:
    child = children.get(pid)
    if child is not None and child.poll() is not None:
        children.pop(pid, None)


@contextlib.contextmanager
def gone_is_fine() -> Iterator[None]:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        yield
