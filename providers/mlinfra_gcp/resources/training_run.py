"""``gcp.training_run``: one custom job of Vertex AI for each fingerprint, and what it left in its bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, thaw
from mlinfra.provider import ownership
from mlinfra.provider.failures import Invalid, NotFound, Quota
from mlinfra.provider.progress import say
from mlinfra.provider.runs import given, jobs, kept
from mlinfra.provider.runs.kept_run import JOB_INPUTS, PLACE, KeptJob
from mlinfra_gcp import marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.containers import GS, command, describe, environment, upload
from mlinfra_gcp.operations import finished
from mlinfra_gcp.resources.vertex_jobs import job_failure
from mlinfra_gcp.zones import elsewhere

DOC = "aiplatform.v1"
_JOBS = "projects.locations.customJobs"
PLAIN_TEXT = "Vertex AI keeps this in plain text: let the code read the secret from Secret Manager"


class TrainingRun(KeptJob):
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.job`, and where it runs."""

    schema = Schema(
        attributes={
            **PLACE,
            "parent": Attribute(type="string", required=True, description="projects/P/locations/L"),
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
        run_inputs=JOB_INPUTS,
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs", "env"), why=PLAIN_TEXT)

    async def start(self, client: GcpClient, desired: Desired, token: str, mark: str, made: Mapping[str, Value]) -> Any:
        wanted = desired.attributes
        bucket, name = str(wanted["bucket"]), str(wanted["name"])
        uris = {n: await kept.bring(client, bucket, n, v, scheme=GS) for n, v in wanted.get("inputs", EMPTY).items()}
        lines = given.requirements(client.base, wanted.get("requirements"))
        archive = await upload(
            client, bucket, wanted["code"], describe(bucket, name, jobs.as_steps(wanted), {"run": uris}, lines)
        )
        body = {
            "displayName": name,
            "labels": run_labels(client, desired, token),
            "jobSpec": job_spec(wanted, bucket, archive, mark),
        }
        return await client.call(DOC, f"{_JOBS}.create", {"parent": str(wanted["parent"])}, body)

    async def started(self, client: GcpClient, desired: Desired, token: str) -> Any | None:
        wanted = {"parent": str(desired.attributes["parent"]), "filter": f"labels.{ownership.OPERATION}={token}"}
        async for job in client.pages(DOC, f"{_JOBS}.list", wanted, "customJobs"):
            return job
        return None

    async def ended(self, client: GcpClient, desired: Desired, job: Any) -> None:
        try:
            await waited(client, f"{_JOBS}.get", job)
        except Quota as failure:
            failure.hint = "; ".join(filter(None, (elsewhere(client, desired.attributes), failure.hint)))
            raise

    async def remove(self, client: GcpClient, recorded: ResourceState) -> None:
        await remove_jobs(client, recorded, "customJobs")


def run_labels(client: GcpClient, desired: Desired, token: str) -> dict[str, Any]:
    """The labels of a job: whose it is, of which operation, and of which run."""
    own = {
        **client.owner(desired.address, token).marks(marks.label_value),
        "mlinfra-run": marks.label_value(str(desired.attributes["name"])),
    }
    return {**client.config.labels, **thaw(desired.attributes.get("labels", EMPTY)), **own}


def job_spec(wanted: Map, bucket: str, archive: str, mark: str) -> dict[str, Any]:
    """The CustomJobSpec: one pool of one machine, and a second one with the other ranks."""
    container: dict[str, Any] = {
        "imageUri": wanted["image"],
        "command": command(bucket, archive, "run"),
        "args": [mark],
    }
    if wanted.get("env"):
        container["env"] = environment(wanted["env"])
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
            failure.hint = failure.hint or console(job)
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
    mine = client.owner(recorded.address, "").marks(marks.label_value)["mlinfra-project"]
    query = {"parent": str(recorded.attributes["parent"]), "filter": f"labels.mlinfra-run={marks.label_value(recorded.id)}"}
    found = [job async for job in client.pages(DOC, f"{jobs}.list", query, folder)]
    for job in found:
        if (job.get("labels") or {}).get("mlinfra-project") == mine:
            with suppress(NotFound, Invalid):  # it still runs: Vertex AI deletes no running job
                answer = await client.call(DOC, f"{jobs}.delete", {"name": job["name"]})
                await finished(client, DOC, answer, what=f"deleting the job {str(job['name']).rpartition('/')[2]}")
