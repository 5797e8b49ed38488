"""Calls in threads: answered, cancelled, as many at once as there may be, and none left when the loop ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest

from mlinfra.model.event_loop import ThreadedLoop

T = TypeVar("T")
THREADS = 8


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: ThreadedLoop(THREADS)) as runner:
        return runner.run(work)


def ours() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("mlinfra-") and t.name.removeprefix("mlinfra-").isdigit()]


def test_every_call_gets_its_own_answer_and_the_caller_s_context() -> None:
    name: ContextVar[int] = ContextVar("name")

    async def one(number: int) -> tuple[int, int]:
        name.set(number)
        return number, await asyncio.to_thread(lambda: name.get() * 2)

    async def work() -> list[tuple[int, int]]:
        return await asyncio.gather(*[one(n) for n in range(2_000)])

    assert run(work()) == [(n, n * 2) for n in range(2_000)]


def test_no_more_calls_run_at_once_than_there_may_be_threads_and_no_thread_is_begun_where_one_is_free() -> None:
    together = threading.Barrier(THREADS)  # which opens only when so many are at work at once

    async def work() -> tuple[int, int]:
        for _ in range(20):
            await asyncio.to_thread(time.sleep, 0)
        first = len(ours())
        await asyncio.gather(*[asyncio.to_thread(together.wait, 60) for _ in range(THREADS * 10)])
        return first, len(ours())

    assert run(work()) == (1, THREADS)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), TimeoutError()])
def test_what_a_call_raises_is_raised_where_it_is_awaited(error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def work() -> BaseException:
        try:
            await asyncio.to_thread(fail)
        except BaseException as caught:  # noqa: BLE001
            return caught
        raise AssertionError

    assert run(work()) is error


def test_a_call_that_raises_what_a_future_refuses_does_not_wait_for_ever() -> None:
    async def work() -> None:
        await asyncio.wait_for(asyncio.to_thread(next, iter(())), 30)

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(work())


def test_a_call_that_is_cancelled_before_it_began_is_not_made_and_one_that_runs_is_waited_for_at_the_end() -> None:
    begun = threading.Barrier(THREADS + 1)
    go_on = threading.Event()
    made: list[str] = []

    def long(name: str) -> None:
        begun.wait(60)
        go_on.wait(60)
        made.append(name)

    async def work() -> None:
        running = [asyncio.create_task(asyncio.to_thread(long, "running")) for _ in range(THREADS)]
        await asyncio.sleep(0)
        waiting = asyncio.create_task(asyncio.to_thread(made.append, "never"))
        begun.wait(60)  # which holds the loop, but none of its threads
        for task in (*running, waiting):
            task.cancel()
        assert all(isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*running, waiting, return_exceptions=True))
        go_on.set()

    run(work())
    assert made == ["running"] * THREADS
    assert ours() == []


def test_who_brings_an_executor_gets_his_threads() -> None:
    async def work() -> str:
        with ThreadPoolExecutor(1, thread_name_prefix="his") as pool:
            return await asyncio.get_running_loop().run_in_executor(pool, lambda: threading.current_thread().name)

    assert run(work()).startswith("his")


def test_calls_that_answer_while_the_loop_looks_are_not_forgotten() -> None:
    async def work() -> int:
        done = 0

        async def caller() -> None:
            nonlocal done
            for _ in range(500):
                await asyncio.to_thread(int)
                done += 1

        async with asyncio.timeout(120):
            await asyncio.gather(*[caller() for _ in range(THREADS)])
        return done

    assert run(work()) == 500 * THREADS
