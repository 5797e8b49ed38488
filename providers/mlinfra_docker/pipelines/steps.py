"""One step: run in a container (or found again by its fingerprint), then held against what it promised. The same for every kind
of run: mlinfra's own on apply, and those that Dagster starts from a container of the stack."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from mlinfra.model.values import Secret, freeze, thaw
from mlinfra.provider.failures import Failure
from mlinfra.provider.files import SelectedFile
from mlinfra.provider.progress import say
from mlinfra.provider.runs.fingerprints import fingerprint
from mlinfra.provider.runs.pipelines import Definition, ExpectationBroken, StepDefinition, StepRecord, inherited_metrics
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.runs.promises import unkept
from mlinfra_docker.runs.run import RunRequest, RunResult, run, secret_key
from mlinfra_docker.volumes import MOUNTED


async def perform(
    client: DockerClient,
    place: Place,
    step: StepDefinition,
    upstream: Mapping[str, StepRecord],
    *,
    again: bool,
) -> StepRecord:
    """Run the step and check its expectations. ``again`` runs it even when its fingerprint ran before (schedules).

    Raises what :func:`mlinfra_docker.runs.run.run` raises, and ExpectationBroken."""
    definition = place.definition
    taken = {name: upstream[source]["outputs"][output] for name, (source, output) in step.takes.items()}
    inputs = {**step.inputs, **taken}
    if step.command is None:
        record = StepRecord(fingerprint="", outputs={}, metrics=inherited_metrics(step, upstream), reused=False)
    else:
        environment: dict[str, str | Secret] = dict(step.env)
        environment.update({name: Secret(place.secrets[carrier]) for name, carrier in step.secrets.items()})
        mark = fingerprint(
            code=definition.code,
            command=step.command,
            params=step.arguments,
            environment=environment,
            inputs={**inputs, **{f"{k}@": v for k, v in step.versions.items()}},
            more={"outputs": step.outputs, "requirements": definition.requirements, "image": definition.image},
            key=await client.run(secret_key, client, place.volume, folder(step.name)) if step.secrets else b"",
        )
        request = RunRequest(
            address=place.address,
            volume=place.volume,
            folder=folder(step.name),
            fingerprint=mark,
            image=place.image,
            code=place.code,
            command=step.command,
            arguments=step.arguments,
            inputs=inputs,
            outputs=step.outputs,
            environment=environment,
            timeout=step.timeout,
            again=again or not await client.run(_stands, client, place, step, mark),
        )
        result = await _tried(client, request, step.retries)
        await client.run(_remember_effect, client, place, step, mark)
        if result.reused:
            say("nothing that it depends on changed: not run again")
        record = _record(mark, result)
    uris = list((record["outputs"] or inputs).values())
    problems = await client.run(unkept, client, freeze(dict(step.expect)), record["metrics"], uris)
    if problems:
        raise ExpectationBroken("; ".join(problems), path=("steps", step.name, "expect"))
    return record


class Place:
    """Where a pipeline runs: its volume, the image of its steps, their code, and the secrets by the variable that carries each."""

    def __init__(
        self,
        definition: Definition,
        *,
        address: str,
        volume: str,
        image: str,
        code: Sequence[SelectedFile],
        secrets: Mapping[str, str] = os.environ,
    ) -> None:
        self.definition = definition
        self.address = address
        self.volume = volume
        self.image = image
        self.code = code
        self.secrets = secrets


def folder(step: str) -> str:
    """A step's folder in the pipeline's volume."""
    return f"steps/{step}"


async def _tried(client: DockerClient, request: RunRequest, retries: int) -> RunResult:
    for left in range(retries, -1, -1):
        try:
            return await run(client, request)
        except Failure as failure:
            if not left:
                raise
            say(f"{failure.message.splitlines()[0]}; {left} more tr{'ies' if left > 1 else 'y'}")
            await asyncio.sleep(1)
    raise AssertionError


def _effect(place: Place, step: StepDefinition) -> str:
    """Holds the fingerprint of the latest run of a step without outputs."""
    return f"{MOUNTED}/{place.volume}/{folder(step.name)}/effect"


def _stands(client: DockerClient, place: Place, step: StepDefinition, mark: str) -> bool:
    """Whether what a run of this fingerprint did still stands. What a step without outputs does, it does to something outside,
    where only its latest run counts: going back to an older fingerprint runs it again. Half a run may have changed anything."""
    if step.outputs:
        return True
    helper = volumes.helper(client, place.volume)
    if helper.read(_effect(place, step)) == mark.encode():
        return True
    helper.run('rm -f "$1"', _effect(place, step))
    return False


def _remember_effect(client: DockerClient, place: Place, step: StepDefinition, mark: str) -> None:
    if not step.outputs:
        volumes.helper(client, place.volume).write(_effect(place, step), mark.encode())


def _record(mark: str, result: RunResult) -> StepRecord:
    outputs = {name: output.uri for name, output in result.outputs.items()}
    return StepRecord(fingerprint=mark, outputs=outputs, metrics=thaw(result.metrics), reused=result.reused)
