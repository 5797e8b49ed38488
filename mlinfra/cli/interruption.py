"""Ctrl-C and SIGTERM while something is applied: the first asks to finish what is in flight, the second to cancel it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

FIRST = "Finishing what is in flight; press Ctrl-C again to cancel it."
SECOND = "Cancelling what is in flight."


class Stoppable(Protocol):
    @property
    def level(self) -> int: ...

    def request(self) -> None: ...


def notice(stop: Stoppable) -> str:
    """What to tell a person about a stop that was asked for; ``""`` when none was."""
    return ("", FIRST, SECOND)[min(stop.level, 2)]


@contextmanager
def stopping(stop: Stoppable, *, speak: bool) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into ``stop.request()`` while the block runs. ``speak``: say so on standard error."""

    def handle(_: int, __: FrameType | None) -> None:
        stop.request()
        if speak:
            # Not through a Python stream: the signal may have come in the middle of a write to it.
            os.write(2, f"\n{notice(stop)}\n".encode())

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
