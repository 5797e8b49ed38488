"""``aws.pipeline_run``: one execution of a SageMaker pipeline for each fingerprint, and what it left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.failures import Failure, Invalid, NotFound, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.naming import digest_of
from mlinfra.provider.progress import say
from mlinfra.provider.runs.fingerprints import of_pipeline, predicted_of_pipeline
from mlinfra.provider.runs.reach import kept
from mlinfra_aws import outcomes
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place

DONE, DEFERRED = "done", "deferred"
_PACE = 15.0


def _predict(attributes: Map) -> Mapping[str, Value]:
    if attributes.get("run_on_apply", True) is not True:
        return {}
    mark = predicted_of_pipeline(attributes)
    return {"status": DONE, **({"fingerprint": mark} if mark else {})}


class PipelineRun:
    """``outputs`` are URIs by content, so that a run that gives the same moves nothing downstream. ``status``: ``done``, ``incomplete`` when
    what it left is gone, ``deferred`` while ``run_on_apply`` is off and nothing ran."""

    schema = Schema(
        attributes={
            "pipeline": Attribute(type="string", required=True, immutable=True, source="the pipeline that is run"),
            "bucket": Attribute(type="string", required=True, immutable=True, source="the bucket that holds what it leaves"),
            "code": Attribute(type="map", required=True),
            "steps": Attribute(type="map", required=True),
            "requirements": Attribute(type="any"),
            "image": Attribute(type="string"),
            "definition": Attribute(
                type="string", description="the archive that the pipeline runs: it is in place before the run"
            ),
            "run_on_apply": Attribute(type="boolean"),
            "outputs": Attribute(type="map", computed=True),
            "metrics": Attribute(type="map", computed=True),
            "fingerprint": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
            "execution": Attribute(type="string", computed=True, volatile=True),
        },
        predict=_predict,
        runs=True,
        run_inputs=("code", "steps", "requirements", "image", "run_on_apply", "fingerprint", "status"),
        keeps=kept,
        inside=("bucket",),
    )

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.attributes)

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await _make(client, desired, token, token)

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = desired.attributes
        owner = await client.run(outcomes.owner, client, str(wanted["bucket"]), str(wanted["pipeline"])) or {}
        return await _make(client, desired, digest_of((of_pipeline(wanted), time.time()), 32), str(owner.get("op", "")))

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        """Its records; an execution cannot be deleted."""
        await client.run(outcomes.forget, client, str(recorded.attributes["bucket"]), str(recorded.attributes["pipeline"]))

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        owner = await client.run(outcomes.owner, client, str(wanted["bucket"]), str(wanted["pipeline"]))
        if owner is None or owner.get("op") != token:
            return None
        execution = await client.run(_started, client, str(wanted["pipeline"]), token)
        if execution is not None and not owner.get("fingerprint"):
            return await _finish(client, desired, execution, token)
        known = Map({**wanted, "fingerprint": owner.get("fingerprint"), "status": DONE if owner.get("fingerprint") else DEFERRED})
        return await client.run(_read, client, known)


def _observed(wanted: Map, mark: str, outcome: outcomes.Outcome | None, status: str) -> Observed:
    declared = [o for step in wanted["steps"].values() for o in step.get("outputs", ())]
    shown = outcomes.shown(outcome)
    outputs = Map({o: shown["outputs"].get(o) for o in declared})
    more = {"outputs": outputs, "metrics": shown["metrics"], "fingerprint": mark, "status": status}
    return Observed(str(wanted["pipeline"]), Map({**wanted, **more, "execution": outcome.run if outcome else ""}))


def _read(client: Aws, known: Map) -> Observed | None:
    bucket, pipeline = str(known["bucket"]), str(known["pipeline"])
    if outcomes.owner(client, bucket, pipeline) is None:
        return None
    mark = str(known.get("fingerprint") or "")
    outcome = outcomes.recall(client, bucket, pipeline, mark) if mark else None
    if outcome is None and known.get("status") == DEFERRED:
        return _observed(known, "", None, DEFERRED)
    return _observed(known, mark if outcome else "", outcome, DONE if outcome else "incomplete")


async def _make(client: Aws, desired: Desired, token: str, op: str) -> Observed:
    wanted = desired.attributes
    bucket, pipeline, mark = str(wanted["bucket"]), str(wanted["pipeline"]), of_pipeline(wanted)
    await client.run(lambda: outcomes.own(client, bucket, pipeline, address=desired.address, op=op, new=token == op))
    outcome = await client.run(outcomes.recall, client, bucket, pipeline, mark)
    if outcome is None and not wanted.get("run_on_apply", True):
        return _observed(wanted, "", None, DEFERRED)
    if outcome is None:
        execution = await client.run(_start, client, pipeline, token)
        return await _finish(client, desired, execution, op)
    await client.run(lambda: outcomes.own(client, bucket, pipeline, address=desired.address, op=op, fingerprint=mark))
    return _observed(wanted, mark, outcome, DONE)


def _start(client: Aws, pipeline: str, token: str) -> str:
    answer = client.insist(
        "sagemaker",
        "StartPipelineExecution",
        PipelineName=pipeline,
        PipelineExecutionDisplayName=f"mlinfra-{token[:12]}",
        PipelineExecutionDescription=f"mlinfra:op {token}",
        ClientRequestToken=token,
    )
    return str(answer["PipelineExecutionArn"])


def _started(client: Aws, pipeline: str, token: str) -> str | None:
    """The execution that a start with this token made."""
    try:
        rows = client.listed("sagemaker", "ListPipelineExecutions", "PipelineExecutionSummaries", PipelineName=pipeline)
    except NotFound:
        return None
    name = f"mlinfra-{token[:12]}"
    return next((str(r["PipelineExecutionArn"]) for r in rows if r.get("PipelineExecutionDisplayName") == name), None)


async def _finish(client: Aws, desired: Desired, execution: str, op: str) -> Observed:
    wanted = desired.attributes
    await _wait(client, execution, desired.timeout)
    bucket, pipeline, mark = str(wanted["bucket"]), str(wanted["pipeline"]), of_pipeline(wanted)
    base = executions(bucket, pipeline).below(execution.rpartition("/")[2])
    writing = [name for name, step in wanted["steps"].items() if step.get("outputs") or step.get("expect")]
    places = [(base.below(f"{name}/mlinfra/{outcomes.RESULTS}"), base.below(name)) for name in writing]
    outcome = await client.run(outcomes.collect, client, bucket, places, execution)
    await client.run(outcomes.keep, client, bucket, pipeline, mark, outcome)
    await client.run(lambda: outcomes.own(client, bucket, pipeline, address=desired.address, op=op, fingerprint=mark))
    return _observed(wanted, mark, outcome, DONE)


def executions(bucket: str, pipeline: str) -> Place:
    """Below it an execution's steps write, each in a folder of its own; the pipeline's definition says the same."""
    return Place(bucket, f"executions/{pipeline}")


async def _wait(client: Aws, execution: str, limit: float | None) -> None:
    started, pause, said = time.monotonic(), 0.2, ""
    while True:
        found = await client.run(lambda: client.insist("sagemaker", "DescribePipelineExecution", PipelineExecutionArn=execution))
        status = str(found.get("PipelineExecutionStatus"))
        if status == "Succeeded":
            return
        if status in ("Failed", "Stopped"):
            raise await client.run(_failed, client, execution, found)
        if limit is not None and time.monotonic() - started > limit:
            await client.run(_stop, client, execution)
            raise Timeout(f"the pipeline was stopped after {limit:g} seconds")
        steps = await client.run(_steps, client, execution)
        now = ", ".join(f"{s['StepName']}: {s.get('StepStatus', '').lower()}" for s in steps)
        if now and now != said:
            said = now
            say(now)
        async with waiting():
            await asyncio.sleep(pause)
        pause = min(_PACE, pause * 1.5)


def _stop(client: Aws, execution: str) -> None:
    token = execution[-32:].rjust(32, "0")
    client.insist("sagemaker", "StopPipelineExecution", PipelineExecutionArn=execution, ClientRequestToken=token)


def _steps(client: Aws, execution: str) -> list[Mapping[str, Any]]:
    try:
        return list(
            client.listed("sagemaker", "ListPipelineExecutionSteps", "PipelineExecutionSteps", PipelineExecutionArn=execution)
        )
    except Failure:
        return []  # progress is a courtesy


def _failed(client: Aws, execution: str, found: Mapping[str, Any]) -> Failure:
    broken = next((s for s in _steps(client, execution) if s.get("StepStatus") == "Failed"), None)
    reason = str((broken or EMPTY).get("FailureReason") or found.get("FailureReason") or found.get("PipelineExecutionStatus"))
    step = str((broken or EMPTY).get("StepName", ""))
    where = f"step {step}: " if step else ""
    hint = f"its log is in CloudWatch, /aws/sagemaker/ProcessingJobs; execution {execution}"
    return Invalid(f"{where}{reason}", path=("steps", step) if step else (), hint=hint)
