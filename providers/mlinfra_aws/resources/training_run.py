"""``aws.training_run``: one SageMaker training job for each fingerprint, and what it left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mlinfra.model.cost import Cost
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path
from mlinfra.provider.contract import Find
from mlinfra.provider.failures import Invalid, NotFound, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.naming import digest_of
from mlinfra.provider.progress import say
from mlinfra.provider.runs import given, jobs
from mlinfra.provider.runs.expectations import broken
from mlinfra.provider.runs.fingerprints import of_job
from mlinfra.provider.runs.jobs import DONE
from mlinfra.provider.runs.words import setting
from mlinfra_aws import objects, outcomes, packing
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place
from mlinfra_aws.prices import price

DEFERRED = "deferred"
_PACE = 20.0
_DAY = 86400
_SECRET = "SageMaker keeps this in plain text: let the code read the secret from Secrets Manager"


class TrainingRun:
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.job`, and where it runs. ``results`` maps each output to the URI of its
    content, ``artifact`` is that of ``model`` or of the first one. ``status`` as of ``aws.pipeline_run``."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="its results are kept under it"),
            "bucket": Attribute(type="string", required=True, immutable=True, source="the bucket that holds what it leaves"),
            "role": Attribute(type="string", required=True),
            "image": Attribute(type="string", required=True),
            "instance_type": Attribute(type="string", required=True),
            "spot": Attribute(type="boolean"),
            "disk": Attribute(type="integer", description="bytes"),
            "cluster": Attribute(type="string"),
            **jobs.ATTRIBUTES,
            "job": Attribute(type="string", computed=True, volatile=True, description="SageMaker's name of the job"),
        },
        predict=jobs.predict,
        runs=True,
        run_inputs=("code", "run", "params", "env", "inputs", "outputs", "requirements", "processes", "image", "status"),
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs", "env"), why=_SECRET)

    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        return price("aws.training_run", attributes, settings, find)

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.attributes)

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await _make(client, desired, token, token)

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = desired.attributes
        owner = await client.run(outcomes.owner, client, str(wanted["bucket"]), str(wanted["name"])) or {}
        return await _make(client, desired, digest_of((_mark(wanted), time.time()), 32), str(owner.get("op", "")))

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        """Its records; SageMaker keeps a training job's description."""
        await client.run(outcomes.forget, client, str(recorded.attributes["bucket"]), str(recorded.attributes["name"]))

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        owner = await client.run(outcomes.owner, client, str(wanted["bucket"]), str(wanted["name"]))
        if owner is None or owner.get("op") != token:
            return None
        job = _job_name(wanted, token)
        if not owner.get("fingerprint") and await client.run(_exists, client, job):
            return await _finish(client, desired, job, token)
        mark = owner.get("fingerprint") or ""
        return await client.run(_read, client, Map({**wanted, "fingerprint": mark, "status": DONE if mark else DEFERRED}))

    async def logs(self, client: Aws, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        """The newest job's lines in CloudWatch; ``follow`` shows what is there and ends."""
        job = str(recorded.attributes.get("job") or "")
        for line in await client.run(_log, client, job) if job else ():
            yield line


def _mark(wanted: Map) -> str:
    return of_job(wanted, more={"image": wanted.get("image")})


def _job_name(wanted: Map, token: str) -> str:
    return f"{str(wanted['name'])[:46].rstrip('-')}-{token[:16]}"


def _observed(wanted: Map, mark: str, outcome: outcomes.Outcome | None, status: str) -> Observed:
    gave = outcome or outcomes.Outcome()
    computed = jobs.computed(wanted, mark, gave.outputs, gave.digests, outcomes.shown(outcome)["metrics"], status)
    return Observed(str(wanted["name"]), Map({**wanted, **computed, "job": gave.run}))


def _exists(client: Aws, job: str) -> bool:
    try:
        client.insist("sagemaker", "DescribeTrainingJob", TrainingJobName=job)
    except NotFound:
        return False
    return True


def _read(client: Aws, known: Map) -> Observed | None:
    bucket, name = str(known["bucket"]), str(known["name"])
    if outcomes.owner(client, bucket, name) is None:
        return None
    mark = str(known.get("fingerprint") or "")
    outcome = outcomes.recall(client, bucket, name, mark) if mark else None
    if outcome is None:
        return _observed(known, "", None, DEFERRED if known.get("status") == DEFERRED else "lost")
    return _observed(known, mark, outcome, DONE)


async def _make(client: Aws, desired: Desired, token: str, op: str) -> Observed:
    wanted = desired.attributes
    bucket, name, mark = str(wanted["bucket"]), str(wanted["name"]), _mark(wanted)
    await client.run(lambda: outcomes.own(client, bucket, name, address=desired.address, op=op, new=token == op))
    outcome = await client.run(outcomes.recall, client, bucket, name, mark)
    if outcome is None and not wanted.get("run_on_apply", True):
        return _observed(wanted, "", None, DEFERRED)
    if outcome is None:
        job = await client.run(_start, client, desired, token)
        return await _finish(client, desired, job, op)
    _check(wanted, outcome)
    await client.run(lambda: outcomes.own(client, bucket, name, address=desired.address, op=op, fingerprint=mark))
    return _observed(wanted, mark, outcome, DONE)


def _check(wanted: Map, outcome: outcomes.Outcome) -> None:
    """What is expected of metrics may have changed since a result was kept; tables were checked where they were written."""
    expected = {k: v for k, v in wanted.get("expect", EMPTY).items() if k in outcome.metrics}
    problems = broken(expected, outcome.metrics, ())
    if problems:
        raise Invalid("; ".join(problems), path=("expect",))


def _start(client: Aws, desired: Desired, token: str) -> str:
    wanted = desired.attributes
    bucket, job = str(wanted["bucket"]), _job_name(wanted, token)
    inputs = {k: outcomes.bring(client, bucket, k, v) for k, v in wanted.get("inputs", EMPTY).items()}
    steps = jobs.as_steps(Map({**wanted, "inputs": Map(inputs)}))
    run = packing.describe("training", steps, given.requirements(client.base, wanted.get("requirements")))
    code = packing.upload(client, bucket, wanted["code"], run)
    limit = round(wanted.get("timeout") or desired.timeout or _DAY)
    stopping = {"MaxRuntimeInSeconds": limit, **({"MaxWaitTimeInSeconds": 2 * limit} if wanted.get("spot") else {})}
    container = packing.command("input/data/mlinfra", "run")
    client.insist(
        "sagemaker",
        "CreateTrainingJob",
        TrainingJobName=job,
        RoleArn=f"arn:{client.partition}:iam::{client.account}:role/{wanted['role']}",
        AlgorithmSpecification={
            "TrainingImage": wanted["image"],
            "TrainingInputMode": "File",
            "ContainerEntrypoint": list(container[:1]),
            "ContainerArguments": list(container[1:]),
        },
        InputDataConfig=[_channel("mlinfra", code.uri), *(_channel(name, uri) for name, uri in inputs.items())],
        OutputDataConfig={"S3OutputPath": job_outputs(bucket, str(wanted["name"])).uri, "CompressionType": "NONE"},
        ResourceConfig={
            "InstanceType": wanted["instance_type"],
            "InstanceCount": wanted.get("processes") or 1,
            "VolumeSizeInGB": max(30, round((wanted.get("disk") or 0) / 10**9)),
        },
        StoppingCondition=stopping,
        EnableManagedSpotTraining=bool(wanted.get("spot")),
        Environment={k: setting(v) for k, v in wanted.get("env", EMPTY).items()},
        Tags=[
            {"Key": "mlinfra:project", "Value": client.project},
            {"Key": "mlinfra:env", "Value": client.environment},
            {"Key": "mlinfra:op", "Value": token},
        ],
    )  # fmt: skip
    return job


def job_outputs(bucket: str, name: str) -> Place:
    """Below it SageMaker puts what jobs leave."""
    return Place(bucket, f"jobs/{name}")


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


async def _finish(client: Aws, desired: Desired, job: str, op: str) -> Observed:
    wanted = desired.attributes
    bucket, mark = str(wanted["bucket"]), _mark(wanted)
    described = await _wait(client, job, desired.timeout)
    folder = objects.place_of(str(described["ModelArtifacts"]["S3ModelArtifacts"]).rstrip("/"))
    places = [(folder.below(outcomes.RESULTS), folder)]
    outcome = await client.run(outcomes.collect, client, bucket, places, job)
    name = str(wanted["name"])
    await client.run(outcomes.keep, client, bucket, name, mark, outcome)
    await client.run(lambda: outcomes.own(client, bucket, name, address=desired.address, op=op, fingerprint=mark))
    return _observed(wanted, mark, outcome, DONE)


async def _wait(client: Aws, job: str, limit: float | None) -> Mapping[str, Any]:
    started, pause, said = time.monotonic(), 0.2, ""
    while True:
        found: Mapping[str, Any] = await client.run(
            lambda: client.insist("sagemaker", "DescribeTrainingJob", TrainingJobName=job)
        )
        status = found.get("TrainingJobStatus")
        if status == "Completed":
            return found
        if status in ("Failed", "Stopped"):
            reason = found.get("FailureReason") or f"the job ended as {status}"
            raise Invalid(f"{reason}", path=("run",), hint=f"its log: CloudWatch, /aws/sagemaker/TrainingJobs, {job}")
        if limit is not None and time.monotonic() - started > limit:
            await client.run(lambda: client.insist("sagemaker", "StopTrainingJob", TrainingJobName=job))
            raise Timeout(f"the job was stopped after {limit:g} seconds")
        now = str(found.get("SecondaryStatus") or status)
        if now != said:
            said = now
            say(now)
        async with waiting():
            await asyncio.sleep(pause)
        pause = min(_PACE, pause * 1.5)


def _log(client: Aws, job: str) -> list[str]:
    group = "/aws/sagemaker/TrainingJobs"
    try:
        events = client.listed("logs", "FilterLogEvents", "events", logGroupName=group, logStreamNamePrefix=job)
    except NotFound:
        return []
    return [str(e["message"]) for e in events]
