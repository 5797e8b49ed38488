"""How many calls to one provider are under way at once: grows while they succeed, halves when the cloud says slow down. How
many may start in a second is bounded then too (:mod:`mlinfra.provider.pace`).

A slow wait must hold no slot: provider code that polls for minutes wraps the wait in ``async with waiting():``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar

from mlinfra.model.loops import asyncio
from mlinfra.provider.pace import Pace

START = 64
_current: ContextVar[Limiter | None] = ContextVar("mlinfra_limiter", default=None)


class Limiter:
    """Additive increase (one more slot a success: doubling every round), multiplicative decrease, within 1 and ``most``."""

    def __init__(self, most: int, start: int = START) -> None:
        self._most = max(1, most)
        self._limit = float(min(start, self._most))
        self._busy = 0
        self._queue: deque[asyncio.Future[float]] = deque()
        self._calm = 0
        self._pace = Pace()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def limit(self) -> int:
        """Slots at this moment."""
        return int(self._limit)

    def slot(self) -> AbstractAsyncContextManager[float]:
        """Hold one slot, since the moment that it gives; :func:`waiting` inside gives it back for a while."""
        return _Slot(self)

    def succeeded(self) -> None:
        """A call came back well."""
        if self._calm > 0:
            self._calm -= 1  # after a halving, one quiet round before growing again
            return
        self._limit = min(self._limit + 1, self._most)
        self._wake()

    def throttled(self, since: float | None = None) -> None:
        """The cloud said slow down, to the call that held its slot ``since`` then. A burst of such answers to one round of calls halves
        the slots once."""
        self._pace.throttled(time.monotonic(), since)
        if self._calm == 0:
            self._limit = max(1.0, self._limit / 2)
            self._calm = int(self._limit)

    async def _take(self) -> float:
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[float] = self._loop.create_future()
        self._queue.append(future)
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._give()
            raise

    def _give(self) -> None:
        self._busy -= 1
        self._wake()

    def _wake(self) -> None:
        """Let in whoever waits, as many as there are slots, each when it is due."""
        while self._queue and self._busy < self.limit:
            now = time.monotonic()
            due = self._pace.due(now)
            if due > now:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(due - now, self._ring)
                return
            future = self._queue.popleft()
            if not future.done():
                self._busy += 1
                self._pace.started(now)
                future.set_result(now)

    def _ring(self) -> None:
        self._timer = None
        self._wake()


class _Slot:
    """Written out: every call takes one, and a generator would cost a tenth of what the engine does for it."""

    __slots__ = ("_limiter", "_token")

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    async def __aenter__(self) -> float:
        since = await self._limiter._take()
        self._token = _current.set(self._limiter)
        return since

    async def __aexit__(self, *_: object) -> None:
        _current.reset(self._token)
        self._limiter._give()


@asynccontextmanager
async def waiting() -> AsyncIterator[None]:
    """Give the slot back while waiting for something slow; take one again before going on."""
    limiter = _current.get()
    if limiter is None:
        yield
        return
    limiter._give()
    try:
        yield
    finally:
        await limiter._take()


def slow_down() -> None:
    """Tell the limiter of the running call that the cloud said slow down: for provider code that repeats a request by itself, in
    whatever thread."""
    limiter = _current.get()
    if limiter is not None and limiter._loop is not None:
        limiter._loop.call_soon_threadsafe(limiter.throttled)
