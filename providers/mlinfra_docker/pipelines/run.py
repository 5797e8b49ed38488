"""A whole pipeline, run once from here without a daemon: every step as soon as those that it needs are done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mlinfra.provider.failures import Failure, Timeout
from mlinfra.provider.progress import prefixed
from mlinfra.provider.runs.pipelines import StepDefinition, StepRecord
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pipelines.steps import Place, perform


async def run_all(client: DockerClient, place: Place, *, within: float | None) -> Mapping[str, StepRecord]:
    """What each step gave. The first failure takes the steps that run beside it down; it names its step."""
    steps = {step.name: step for step in place.definition.steps}
    tasks: dict[str, asyncio.Task[StepRecord]] = {}

    async def one(step: StepDefinition) -> StepRecord:
        done = {name: await tasks[name] for name in step.upstream}
        try:
            with prefixed(step.name):
                return await perform(client, place, step, done, again=False)
        except Failure as failure:
            _place(failure, step.name)
            raise

    try:
        async with asyncio.timeout(within), asyncio.TaskGroup() as group:
            for step in _in_order(steps):
                tasks[step.name] = group.create_task(one(step))
    except* Failure as failures:
        raise _first(failures) from None
    except* TimeoutError:
        raise Timeout(f"the pipeline was stopped after {within:g} seconds") from None
    return {name: task.result() for name, task in tasks.items()}


def _in_order(steps: Mapping[str, StepDefinition]) -> list[StepDefinition]:
    """Every step after those that it needs: a task waits for tasks that are there already."""
    found: dict[str, StepDefinition] = {}

    def add(name: str) -> None:
        if name not in found:
            for before in steps[name].upstream:
                add(before)
            found[name] = steps[name]

    for name in steps:
        add(name)
    return list(found.values())


def _place(failure: Failure, step: str) -> None:
    """Say which step it was, and point at it in the spec."""
    failure.message = f"step {step}: {failure.message}"
    failure.args = (failure.message,)
    if failure.path[:2] != ("steps", step):
        failure.path = ("steps", step)


def _first(failures: BaseExceptionGroup[Failure]) -> Failure:
    found = failures.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
