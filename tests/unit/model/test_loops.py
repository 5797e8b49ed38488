"""Work begins without an event loop and goes on in one, as if it had never been without."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from mlinfra.model.loops import a_loop, run_async


async def _twice(number: int) -> int:
    await a_loop()
    await asyncio.sleep(0)
    return number * 2


def test_work_that_waits_for_nobody_gives_its_result_without_a_loop() -> None:
    async def work() -> bool:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return True

    assert run_async(work())


def test_what_was_worked_out_before_the_loop_is_there_after_it() -> None:
    async def work() -> list[int]:
        found = [1]
        await a_loop()
        await a_loop()
        found += await asyncio.gather(*[_twice(n) for n in range(3)])
        return [*found, await asyncio.to_thread(lambda: 9)]

    assert run_async(work()) == [1, 0, 2, 4, 9]


def test_errors_come_out_on_either_side_of_the_loop_and_can_be_caught_inside() -> None:
    async def before() -> None:
        raise KeyError("before")

    async def after() -> None:
        await a_loop()
        raise KeyError("after")

    async def inside() -> str:
        await a_loop()
        try:
            await asyncio.wait_for(asyncio.sleep(60), 0.001)
        except TimeoutError:
            return "caught"
        return "not caught"

    for work, word in ((before, "before"), (after, "after")):
        with pytest.raises(KeyError, match=word):
            run_async(work())
    assert run_async(inside()) == "caught"


def test_what_stands_open_is_closed_when_the_work_is_cancelled() -> None:
    closed: list[str] = []

    async def work() -> None:
        try:
            await a_loop()
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await asyncio.sleep(60)
        finally:
            closed.append("yes")

    with pytest.raises(asyncio.CancelledError):
        run_async(work())
    assert closed == ["yes"]


def test_asyncio_is_imported_by_the_first_who_needs_it() -> None:
    code = (
        "import sys\n"
        "from mlinfra.model.loops import a_loop, asyncio, run_async\n"
        "async def alone(): return 1\n"
        "async def waits():\n"
        "    await a_loop()\n"
        "    return await asyncio.sleep(0, 2)\n"
        "assert run_async(alone()) == 1 and 'asyncio' not in sys.modules\n"
        "assert run_async(waits()) == 2 and 'asyncio' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
