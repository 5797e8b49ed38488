"""Work that begins without an event loop, and gets one when it first has to wait for somebody.

A command that asks nobody (validate, a look at the state, the plan of what is recorded) neither starts a loop nor imports asyncio, which
with what it needs of its own (ssl, sockets, logging) is a tenth of such a command.
"""

from __future__ import annotations

import importlib
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["a_loop", "asyncio", "run_async"]

T = TypeVar("T")
THREADS = 512
"""Calls in threads at once, as many as limiters may let through. What asyncio would take on a machine of 2 cores is 6."""

if TYPE_CHECKING:
    import asyncio
else:

    class _Asyncio:
        """The module asyncio, imported by whoever first asks for something in it."""

        def __getattr__(self, name: str) -> Any:
            found = getattr(importlib.import_module("asyncio"), name)
            setattr(self, name, found)
            return found

    asyncio = _Asyncio()


@coroutine
def a_loop() -> Generator[None, None, None]:
    """Awaited before anything that needs the running event loop, where there may be none yet."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        yield


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives, which awaits :func:`a_loop` before it waits for anything else."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    return _run_on_loop(work)


def _run_on_loop(work: Coroutine[Any, Any, T]) -> T:
    """The rest of ``work``, on an event loop of its own.

    The result goes past the loop's main task: when it ends, ``asyncio.run`` asks for the SIGINT handler, and ``signal`` words
    an error on the way that holds the task's result in full, a second for a plan of 10,000 resources."""
    from mlinfra.model.event_loop import ThreadedLoop
    from mlinfra.model.garbage import collect_new

    collect_new()
    found: list[T] = []

    async def main() -> None:
        found.append(await _rest(work))

    with asyncio.Runner(loop_factory=lambda: ThreadedLoop(THREADS)) as runner:
        runner.run(main())
    return found[0]


@coroutine
def _rest(work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """``work`` from where it waits for a loop: what it asks of the loop, and what this answers, is handed through."""
    said: Any = None
    refused: BaseException | None = None
    while True:
        try:
            asked = work.throw(refused) if refused is not None else work.send(said)
        except StopIteration as ended:
            result: T = ended.value
            return result
        said, refused = None, None
        try:
            said = yield asked
        except BaseException as error:  # noqa: BLE001 - a cancellation, too, is for the work to hear of
            refused = error
