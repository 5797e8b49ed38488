"""``gcp.training_run``: one custom job of Vertex AI for each fingerprint, and what it left in its bucket."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, thaw
from mlinfra.provider.failures import Invalid, NotFound, Quota
from mlinfra.provider.progress import say
from mlinfra.provider.runs import given, jobs, kept
from mlinfra.provider.runs.expectations import broken
from mlinfra.provider.runs.fingerprints import of_job
from mlinfra.provider.runs.jobs import DONE
from mlinfra_gcp import containers, marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.operations import finished
from mlinfra_gcp.resources.vertex_jobs import job_failure
from mlinfra_gcp.zones import elsewhere

DOC = "aiplatform.v1"
_JOBS = "projects.locations.customJobs"
DEFERRED = "deferred"
PLAIN_TEXT = "Vertex AI keeps this in plain text: let the code read the secret from Secret Manager"


class TrainingRun:
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.job`, and where it runs. ``results`` maps each output to the
    URI of its content; ``artifact`` is that of ``model``, or of the first one. ``status``: ``done``, ``lost`` when what it left
    is gone, ``deferred`` while ``run_on_apply`` is off and nothing ran."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="its results are kept under it"),
            "bucket": Attribute(type="string", required=True, immutable=True, source="the bucket that holds what it leaves"),
            "parent": Attribute(type="string", required=True, description="projects/P/locations/L"),
            "image": Attribute(type="string", required=True),
            "machine": Attribute(type="map", required=True, description="MachineSpec"),
            "scheduling": Attribute(type="map"),
            "disk": Attribute(type="integer", description="GB"),
            "persistent_resource": Attribute(type="string"),
            "service_account": Attribute(type="string"),
            "labels": Attribute(type="map"),
            "cluster": Attribute(type="string"),
            **jobs.ATTRIBUTES,
        },
        predict=jobs.predict,
        runs=True,
        run_inputs=("code", "run", "params", "env", "inputs", "outputs", "requirements", "processes", "image", "status"),
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs", "env"), why=PLAIN_TEXT)

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        known = recorded.attributes
        if await kept.owner(client, str(known["bucket"]), str(known["name"])) is None:
            return None
        mark = str(known.get("fingerprint") or "")
        outcome = await kept.recall(client, str(known["bucket"]), str(known["name"]), mark, ("run",)) if mark else None
        if outcome is None:
            status = DEFERRED if known.get("status") == DEFERRED else "lost"
            return Observed(str(known["name"]), Map({**known, "status": status}))
        return _observed(known, mark, outcome, DONE)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        await kept.claim(client, str(wanted["bucket"]), str(wanted["name"]), desired.address, token)
        return await self._make(client, desired, token)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._make(client, desired, uuid.uuid4().hex)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        """What the run left goes with its bucket; its jobs are taken away here."""
        await remove_jobs(client, recorded, "customJobs")
        if await exists(client, str(recorded.attributes["bucket"])):
            await client.remove_objects(str(recorded.attributes["bucket"]), f"results/{recorded.id}/")

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        parent = str(desired.attributes["parent"])
        wanted = {"parent": parent, "filter": f"labels.{marks.OPERATION}={token}"}
        async for job in client.pages(DOC, f"{_JOBS}.list", wanted, "customJobs"):
            return await self._finish(client, desired, job)
        known = desired.attributes
        bucket, name = str(known["bucket"]), str(known["name"])
        owner = await kept.owner(client, bucket, name)
        if owner is None or owner["op"] != token:
            return None
        outcome = await kept.recall(client, bucket, name, _mark(known), ("run",))
        return (
            _observed(known, _mark(known), outcome, DONE)
            if outcome
            else _observed(known, "", None, DEFERRED if known.get("run_on_apply") is False else "lost")
        )

    async def _make(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        bucket, name, mark = str(wanted["bucket"]), str(wanted["name"]), _mark(wanted)
        outcome = await kept.recall(client, bucket, name, mark, ("run",))
        if outcome is not None:
            expected = {k: v for k, v in wanted.get("expect", EMPTY).items() if k in outcome.metrics}
            problems = broken(expected, outcome.metrics, ())
            if problems:
                raise Invalid("; ".join(problems), path=("expect",))
            return _observed(wanted, mark, outcome, DONE)
        if not wanted.get("run_on_apply", True):
            return _observed(wanted, "", None, DEFERRED)
        uris = {n: await kept.bring(client, bucket, n, v, scheme=containers.GS) for n, v in wanted.get("inputs", EMPTY).items()}
        run = containers.describe(
            bucket, name, jobs.as_steps(wanted), {"run": uris}, given.requirements(client.base, wanted.get("requirements"))
        )
        archive = await containers.upload(client, bucket, wanted["code"], run)
        await kept.forget(client, bucket, name, mark)
        labels = client.owner(desired.address, token).labels()
        body = {
            "displayName": name,
            "labels": {
                **client.config.labels,
                **thaw(wanted.get("labels", EMPTY)),
                **labels,
                "mlinfra-run": marks.label_value(name),
            },
            "jobSpec": job_spec(wanted, bucket, archive, mark),
        }
        job = await client.call(DOC, f"{_JOBS}.create", {"parent": str(wanted["parent"])}, body)
        return await self._finish(client, desired, job)

    async def _finish(self, client: GcpClient, desired: Desired, job: Mapping[str, Any]) -> Observed:
        wanted = desired.attributes
        bucket, name, mark = str(wanted["bucket"]), str(wanted["name"]), _mark(wanted)
        try:
            await waited(client, f"{_JOBS}.get", job)
        except Quota as failure:
            failure.hint = "; ".join(filter(None, (elsewhere(client, wanted), failure.hint)))
            raise
        except Invalid as failure:
            said = await kept.complaint(client, bucket, name, mark, ("run",))
            raise Invalid(said or failure.message, path=("run",), hint=failure.hint or console(job)) from failure
        outcome = await kept.recall(client, bucket, name, mark, ("run",))
        if outcome is None:
            raise Invalid(
                f"the job {job['name']} succeeded, but left no results in {bucket}", hint="was its bucket emptied meanwhile?"
            )
        return _observed(wanted, mark, outcome, DONE)


def job_spec(wanted: Map, bucket: str, archive: str, mark: str) -> dict[str, Any]:
    """The CustomJobSpec: one pool of one machine, and a second one with the other ranks."""
    container: dict[str, Any] = {
        "imageUri": wanted["image"],
        "command": containers.command(bucket, archive, "run"),
        "args": [mark],
    }
    if wanted.get("env"):
        container["env"] = containers.environment(wanted["env"])
    pool: dict[str, Any] = {"machineSpec": thaw(wanted["machine"]), "containerSpec": container}
    if wanted.get("disk"):
        pool["diskSpec"] = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": max(100, wanted["disk"])}
    processes = int(wanted.get("processes") or 1)
    pools = [{**pool, "replicaCount": 1}, *([{**pool, "replicaCount": processes - 1}] if processes > 1 else [])]
    scheduling = dict(thaw(wanted.get("scheduling", EMPTY)))
    if wanted.get("timeout"):
        scheduling["timeout"] = f"{round(wanted['timeout'])}s"
    spec: dict[str, Any] = {"workerPoolSpecs": pools, "baseOutputDirectory": {"outputUriPrefix": f"gs://{bucket}/vertex"}}
    if scheduling:
        spec["scheduling"] = scheduling
    if wanted.get("service_account"):
        spec["serviceAccount"] = wanted["service_account"]
    if wanted.get("persistent_resource"):
        spec["persistentResourceId"] = wanted["persistent_resource"]
    return spec


async def waited(client: GcpClient, method: str, job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job once it has succeeded; the failure that it ended with."""
    attempt, said = 0, ""
    while not str(job["state"]).endswith("_SUCCEEDED"):
        failure = job_failure(job)
        if failure is not None:
            raise failure
        state = str(job["state"]).partition("_STATE_")[2].lower()
        if state != said:
            said = state
            say(f"{job.get('displayName', 'the job')} is {state}")
        await client.pause(attempt)
        attempt += 1
        job = await client.call(DOC, method, {"name": job["name"]})
    return job


def console(job: Mapping[str, Any]) -> str:
    """Where a person sees the job's log."""
    _, project, _, location, folder, number = str(job["name"]).split("/")
    page = {"customJobs": "training", "pipelineJobs": "pipelines/runs"}[folder]
    return f"its log: https://console.cloud.google.com/vertex-ai/locations/{location}/{page}/{number}?project={project}"


async def remove_jobs(client: GcpClient, recorded: ResourceState, folder: str) -> None:
    """Delete the jobs that a run of ours started; what others started under the same name stays."""
    jobs = f"projects.locations.{folder}"
    mine = client.owner(recorded.address, "").labels()["mlinfra-project"]
    query = {"parent": str(recorded.attributes["parent"]), "filter": f"labels.mlinfra-run={marks.label_value(recorded.id)}"}
    found = [job async for job in client.pages(DOC, f"{jobs}.list", query, folder)]
    for job in found:
        if (job.get("labels") or {}).get("mlinfra-project") == mine:
            with suppress(NotFound, Invalid):  # it still runs: Vertex AI deletes no running job
                answer = await client.call(DOC, f"{jobs}.delete", {"name": job["name"]})
                await finished(client, DOC, answer, what=f"deleting the job {str(job['name']).rpartition('/')[2]}")


async def exists(client: GcpClient, bucket: str) -> bool:
    """Whether there is such a bucket."""
    try:
        await client.call("storage.v1", "buckets.get", {"bucket": bucket})
    except NotFound:
        return False
    return True


def _mark(wanted: Map) -> str:
    return of_job(wanted, more={"image": wanted.get("image")})


def _observed(wanted: Map, mark: str, outcome: kept.Outcome | None, status: str) -> Observed:
    gave = outcome or kept.Outcome()
    computed = jobs.computed(wanted, mark, gave.outputs, gave.digests, Map(gave.metrics), status)
    return Observed(str(wanted["name"]), Map({**wanted, **computed}))
