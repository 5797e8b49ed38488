"""What a command and the processes that it starts keep in memory, by looking at /proc while it runs.

The operating system's own figure of an ended process (``ru_maxrss``) will not do: it counts what the process was forked from, and of
several processes it tells the largest only. Terraform's work is done by two at once, itself and a provider.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PERIOD = 0.02
"""Seconds between two looks: one takes about 0.0002."""
PROC = Path("/proc")


class Residence:
    """Looks while it is entered. ``together`` is the most that all processes kept at one time, ``largest`` what one of them did; MB, 0 where
    there is no /proc."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self.together = self.largest = 0.0

    def __enter__(self) -> Residence:
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while True:
            found = [memory for pid in _family(self._process) if (memory := _memory(pid)) is not None]
            if found:
                self.largest = max(self.largest, *[most for _, most in found])
                self.together = max(self.together, self.largest, sum(now for now, _ in found))
            # the first looks come soon after each other: `version` takes no longer than one period
            if self._ended.wait(min(PERIOD, (time.monotonic() - began) / 4 + 0.001)):
                return


def _family(process: int) -> Iterator[int]:
    yield process
    with suppress(OSError):
        for thread in (PROC / str(process) / "task").iterdir():
            with suppress(OSError):
                for child in (thread / "children").read_text().split():
                    yield from _family(int(child))


def _memory(process: int) -> tuple[float, float] | None:
    """MB that a process keeps now, and the most that it has kept; None when it is none any more."""
    try:
        lines = (PROC / str(process) / "status").read_text().splitlines()
    except OSError:
        return None
    kilobytes = {
        name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if name in ("VmRSS", "VmHWM")
    }
    return (kilobytes["VmRSS"] / 1024, kilobytes["VmHWM"] / 1024) if len(kilobytes) == 2 else None
