"""Events in the order in which things happened, none before what it speaks of is durable."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from mlinfra.model.events import Event, Sink


class Announcer:
    """A sink for events. An event that waits until something is durable holds back all that come after it.

    ``tell`` may be called from any thread, with ``durable`` from the event loop's only."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held: deque[tuple[Event, asyncio.Future[None] | None]] = deque()
        self._awaited: asyncio.Future[None] | None = None
        self._lock = threading.RLock()

    def tell(self, event: Event, durable: asyncio.Future[None] | None = None) -> None:
        """Pass ``event`` on: once ``durable`` is done, and never when that failed."""
        with self._lock:
            if durable is None and not self._held:
                self._sink(event)
                return
            self._held.append((event, durable))
            if durable is not None and durable is not self._awaited:
                self._awaited = durable
                durable.add_done_callback(self._release)

    def _release(self, _: asyncio.Future[None]) -> None:
        with self._lock:
            while self._held:
                event, durable = self._held[0]
                if durable is not None and not durable.done():
                    return
                self._held.popleft()
                if durable is None or durable.exception() is None:
                    self._sink(event)
