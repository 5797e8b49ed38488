"""Questions that many tasks ask at about the same time, answered by one list call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 0.03
"""Seconds that a question waits for company."""

Fetch = Callable[[frozenset[str]], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True)
class _Batch:
    items: set[str] = field(default_factory=set)
    answer: asyncio.Task[Mapping[str, Any]] | None = None


class Batcher:
    """``await ask("alarms", "cpu-high", fetch)``: ``fetch`` is called once with every item that was asked for meanwhile."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._open: dict[str, _Batch] = {}

    async def ask(self, key: str, item: str, fetch: Fetch) -> Any:
        """What ``fetch`` answers for ``item``; None when it says nothing of it. Its failure is everybody's."""
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = _Batch()
            batch.answer = asyncio.ensure_future(self._later(key, batch, fetch))
        batch.items.add(item)
        assert batch.answer is not None
        return (await asyncio.shield(batch.answer)).get(item)

    async def _later(self, key: str, batch: _Batch, fetch: Fetch) -> Mapping[str, Any]:
        await asyncio.sleep(self._window)
        del self._open[key]
        return await fetch(frozenset(batch.items))
