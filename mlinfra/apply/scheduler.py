"""Runs a graph of jobs: each as soon as all it needs has succeeded; a failed job blocks only what needs it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import Any

from mlinfra.apply.stop import Stop


class Fate(Enum):
    """How a job ended."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


TOGETHER = 64
"""Jobs that begin in one turn of the event loop: more than a limiter lets through at first, and few enough that the first of a thousand
are on their way while the others are still being prepared."""


async def run_graph(
    needs: Sequence[Sequence[int]],
    work: Callable[[int], Coroutine[Any, Any, bool]],
    done: Callable[[int], None],
    blocked: Callable[[int, int], None],
    stop: Stop,
) -> list[Fate]:
    """Run job ``i`` by ``work(i)``, which says whether it succeeded. ``done(i)`` is told of each job that did, before anything that
    needs it begins, and ``blocked(i, cause)`` of each that is not tried; ``cause`` is the index of the failed job, or -1 after an
    interruption. Time and memory are linear in jobs and needs.

    A first stop request starts nothing new; a second one cancels what runs. An exception of ``work`` ends everything."""
    waiting = [len(set(n)) for n in needs]
    dependents: list[list[int]] = [[] for _ in needs]
    for job, required in enumerate(needs):
        for need in set(required):
            dependents[need].append(job)
    fates: list[Fate | None] = [None] * len(needs)
    ready = deque(i for i, count in enumerate(waiting) if count == 0)
    running: dict[asyncio.Task[bool], int] = {}
    loop = asyncio.get_running_loop()
    wake = asyncio.Event()
    ended: deque[asyncio.Task[bool]] = deque()

    def requested(level: int) -> None:
        def act() -> None:
            if level >= 2:
                for task in running:
                    task.cancel()
            wake.set()

        loop.call_soon_threadsafe(act)

    def finished(task: asyncio.Task[bool]) -> None:
        ended.append(task)
        wake.set()

    def block(job: int, cause: int) -> None:
        queue = deque([job])
        while queue:
            for dependent in dependents[queue.popleft()]:
                if fates[dependent] is None:
                    fates[dependent] = Fate.BLOCKED
                    blocked(dependent, cause)
                    queue.append(dependent)

    stop.listen(requested)
    try:
        while True:
            beginning = 0
            while ready and not stop.level and beginning < TOGETHER:
                job = ready.popleft()
                if fates[job] is None:
                    task = loop.create_task(work(job))
                    task.add_done_callback(finished)
                    running[task] = job
                    beginning += 1
            if not running:
                break
            if not ready or stop.level:
                await wake.wait()
            else:
                await asyncio.sleep(0)
            wake.clear()
            while ended:
                task = ended.popleft()
                job = running.pop(task)
                if not task.cancelled() and task.result():
                    fates[job] = Fate.DONE
                    done(job)
                    for dependent in dependents[job]:
                        waiting[dependent] -= 1
                        if waiting[dependent] == 0:
                            ready.append(dependent)
                else:
                    fates[job] = Fate.FAILED
                    block(job, job)
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.gather(*running, return_exceptions=True)
    for job, fate in enumerate(fates):
        if fate is None:
            fates[job] = Fate.BLOCKED
            blocked(job, -1)
    return [fate or Fate.BLOCKED for fate in fates]
