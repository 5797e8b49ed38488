"""One step: run (or found again by its fingerprint), then held against what it promised. The same for every kind of run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from mlinfra.model.values import Secret, thaw
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.progress import say
from mlinfra.provider.runs.expectations import broken
from mlinfra.provider.runs.fingerprints import fingerprint
from mlinfra.provider.runs.pipelines import Definition, ExpectationBroken, StepDefinition, StepRecord, inherited_metrics
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import RunRequest, RunResult, recall, run, secret_key
from mlinfra_local.execution.scratch import write_atomically
from mlinfra_local.execution.store import short
from mlinfra_local.settings import LocalConfig

_EFFECT = "effect"
"""Holds the fingerprint of the latest run of a step without outputs."""


def client_of(definition: Definition, file: Path) -> LocalClient:
    """The client of the data folder that holds the definition's ``file`` (``DATA/pipelines/NAME/definition.json``)."""
    context = ProviderContext(project="", environment="", base=Path(definition.base), data=file.resolve().parents[2])
    return LocalClient(LocalConfig(), context)


def perform(
    client: LocalClient, definition: Definition, step: StepDefinition, upstream: Mapping[str, StepRecord], *, again: bool
) -> StepRecord:
    """Run the step and check its expectations. ``again`` runs it even when its fingerprint ran before (schedules).

    Raises what :func:`mlinfra_local.execution.run` raises, and ExpectationBroken."""
    taken = {name: upstream[source]["outputs"][output] for name, (source, output) in step.takes.items()}
    inputs = {**step.inputs, **taken}
    if step.command is None:
        record = StepRecord(fingerprint="", outputs={}, metrics=inherited_metrics(step, upstream), reused=False)
    else:
        environment: dict[str, str | Secret] = dict(step.env)
        environment.update({name: Secret(os.environ[carrier]) for name, carrier in step.secrets.items()})
        name = run_name(definition, step)
        mark = fingerprint(
            code=definition.code,
            command=step.command,
            params=step.arguments,
            environment=environment,
            inputs={**inputs, **{f"{k}@": v for k, v in step.versions.items()}},
            more={"outputs": step.outputs, "requirements": definition.requirements},
            key=secret_key(client, name) if step.secrets else b"",
        )
        request = RunRequest(
            name=name,
            user=definition.name,
            fingerprint=mark,
            workdir=client.folder("code", short(definition.code)),
            command=step.command,
            arguments=step.arguments,
            inputs=inputs,
            outputs=step.outputs,
            environment=environment,
            timeout=step.timeout,
            requirements=definition.requirements,
            again=again or not _stands(client, name, step, mark),
        )
        result = asyncio.run(run(client, request))
        _remember_effect(client, name, step, mark)
        if result.reused:
            say("nothing that it depends on changed: not run again")
        record = _record(mark, result)
    problems = broken(step.expect, record["metrics"], _tables(client, record, inputs))
    if problems:
        raise ExpectationBroken("; ".join(problems), path=("steps", step.name, "expect"))
    return record


def _stands(client: LocalClient, name: str, step: StepDefinition, mark: str) -> bool:
    """Whether what a run of this fingerprint did still stands. What a step without outputs does, it does to something outside,
    where only its latest run counts: going back to an older fingerprint runs it again. Half a run may have changed anything."""
    if step.outputs:
        return True
    file = client.folder("runs", name) / _EFFECT
    if file.is_file() and file.read_text() == mark:
        return True
    file.unlink(missing_ok=True)
    return False


def _remember_effect(client: LocalClient, name: str, step: StepDefinition, mark: str) -> None:
    if not step.outputs:
        write_atomically(client.folder("runs", name) / _EFFECT, mark)


def run_name(definition: Definition, step: StepDefinition) -> str:
    """The step's folder below ``runs``."""
    return f"{definition.name}/{step.name}"


def is_intact(client: LocalClient, pipeline: str, step: str, record: StepRecord) -> bool:
    """Whether everything that the step gave is still there, untouched."""
    return not record["fingerprint"] or recall(client, f"{pipeline}/{step}", record["fingerprint"]) is not None


def _record(mark: str, result: RunResult) -> StepRecord:
    outputs = {name: output.uri for name, output in result.outputs.items()}
    return StepRecord(fingerprint=mark, outputs=outputs, metrics=thaw(result.metrics), reused=result.reused)


def _tables(client: LocalClient, record: StepRecord, inputs: Mapping[str, str]) -> list[Path]:
    """Where to look for a table: the outputs, or what a step without outputs was given."""
    uris = record["outputs"] or inputs
    here = [uri for uri in uris.values() if "://" not in uri or uri.startswith(("local://", "file://"))]
    return [client.path_of(uri) for uri in here]
