"""Cooperative interruption: the first request finishes what is in flight, the second cancels it."""

from __future__ import annotations

from collections.abc import Callable


class Stop:
    """``request`` may be called from a signal handler of the main thread, or from another thread through the loop."""

    def __init__(self) -> None:
        self.level = 0
        self._listeners: list[Callable[[int], None]] = []

    def request(self) -> None:
        self.level += 1
        for listener in self._listeners:
            listener(self.level)

    def listen(self, listener: Callable[[int], None]) -> None:
        """Be told the level on every request."""
        self._listeners.append(listener)
