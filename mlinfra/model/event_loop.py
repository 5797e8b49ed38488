"""An event loop whose work in threads comes back in company.

SDKs block, so every call of theirs is made in a thread (``asyncio.to_thread``). The standard executor takes a lock, a condition and a
future of its own for each call and wakes the loop for each answer: with a hundred calls under way that is as much work as the calls
themselves. Here an answer is put where the loop finds it, and the loop is woken once for all that came in meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Call: TypeAlias = "tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]"
_Answer: TypeAlias = "tuple[asyncio.Future[Any], Any, BaseException | None]"


class ThreadedLoop(asyncio.SelectorEventLoop):
    """An event loop with at most ``threads`` threads, begun as they are needed and ended with it (``shutdown_default_executor``,
    which ``asyncio.Runner`` awaits)."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._most = threads
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._answers: deque[_Answer] = deque()
        self._under_way = 0
        self._woken = False
        self._threads: list[threading.Thread] = []

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """What ``func(*args)`` gives, called in a thread. A call that is cancelled before a thread was free for it is not made."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[T] = self.create_future()
        self._calls.put((future, func, args))
        self._under_way += 1
        at_work = self._under_way - len(self._answers)
        if len(self._threads) < min(at_work, self._most):
            thread = threading.Thread(target=self._work, name=f"mlinfra-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        """What each thread does, until it gets None for a call."""
        while (call := self._calls.get()) is not None:
            self._answers.append(_answer(*call))
            del call  # what it holds is not kept until the next one comes
            if not self._woken:  # else the loop is about to look, and finds this one as well
                self._woken = True
                self.call_soon_threadsafe(self._take_answers)

    def _take_answers(self) -> None:
        self._woken = False  # before looking: who answers from here on wakes the loop again
        while self._answers:
            future, result, error = self._answers.popleft()
            self._under_way -= 1
            if future.done():
                continue  # nobody waits for it any more
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    async def shutdown_default_executor(self) -> None:
        """Wait for the calls under way and end the threads."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def _answer(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> _Answer:
    if future.cancelled():
        return future, None, None
    try:
        return future, func(*args), None
    except StopIteration as error:  # a future takes any exception but this one
        lost = RuntimeError("a call in a thread raised StopIteration")
        lost.__cause__ = error
        return future, None, lost
    except BaseException as error:  # noqa: BLE001 - whoever waits for the answer gets it
        return future, None, error
