"""The first interruption finishes what is in flight; the second cancels it; nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.values import Ref


def test_the_first_stop_finishes_what_is_in_flight_and_starts_nothing_new(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    async def stopping(operation: str, name: str) -> None:
        if operation == "create" and name == "a":
            lab.stop.request()
            await asyncio.sleep(0.05)

    lab.cloud.before = stopping
    outcome = lab.run(thing("a"), thing("b", value=Ref("a", ("url",))))
    assert outcome.interrupted and not outcome.failures
    assert lab.cloud.names() == ["a"] and lab.state.get("a") is not None and lab.state.get("b") is None


def test_the_second_stop_cancels_and_the_next_run_looks_up_what_became_of_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    kind = lab.registry.type("fake.thing")
    create = kind.create

    async def slow(client: object, desired: object, token: str) -> object:
        await create(client, desired, token)  # type: ignore[arg-type]
        lab.stop.request()
        lab.stop.request()
        await asyncio.sleep(60)
        raise AssertionError

    kind.create = slow  # type: ignore[assignment,method-assign]
    outcome = lab.run(thing("a"))
    assert outcome.interrupted and lab.state.get("a") is None and lab.cloud.names() == ["a"]
    kind.create = create  # type: ignore[method-assign]
    lab.stop = type(lab.stop)()
    made = lab.plan(thing("a"))
    assert made.plan.is_empty  # found by its token
    lab.apply(lab.plan(thing("a"), thing("b")))
    assert lab.cloud.made == 2 and lab.state.get("a") is not None


def test_concurrency_grows_while_calls_succeed_and_halves_when_throttled() -> None:
    from mlinfra.provider.limiter import Limiter

    limiter = Limiter(most=64, start=4)
    for _ in range(4):
        limiter.succeeded()
    assert limiter.limit == 8
    limiter.throttled()
    limiter.throttled()
    assert limiter.limit == 4


def test_a_slow_wait_holds_no_slot() -> None:
    from mlinfra.provider.limiter import Limiter, waiting

    async def run() -> int:
        limiter = Limiter(most=1, start=1)
        inside = 0
        most = 0

        async def poll() -> None:
            nonlocal inside, most
            async with limiter.slot(), waiting():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.02)
                inside -= 1

        await asyncio.gather(*[poll() for _ in range(10)])
        return most

    assert asyncio.run(run()) == 10
