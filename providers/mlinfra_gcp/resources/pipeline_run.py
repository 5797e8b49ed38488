"""``gcp.pipeline_run``: a pipeline compiled for Vertex AI Pipelines, run once for each fingerprint, and what the run left.

The specification is KFP's: https://www.kubeflow.org/docs/components/pipelines/user-guides/core-functions/compile-a-pipeline/,
https://cloud.google.com/vertex-ai/docs/pipelines/build-pipeline
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze, is_known, thaw
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.runs import kept, packed
from mlinfra.provider.runs.fingerprints import predicted_of_pipeline
from mlinfra.provider.runs.given import requirements
from mlinfra.provider.runs.jobs import DONE, secrets_in
from mlinfra.provider.runs.kept_run import PIPELINE, PIPELINE_INPUTS, PLACE, KeptPipeline
from mlinfra.provider.runs.reach import kept as unreached
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.containers import GS, PACKAGE, command, describe, environment, upload
from mlinfra_gcp.resources.training_run import DOC, PLAIN_TEXT, console, remove_jobs, run_labels, waited

_JOBS = "projects.locations.pipelineJobs"


def _predict(attributes: Map) -> Mapping[str, Value]:
    known: dict[str, Value] = {"id": attributes["name"]} if isinstance(attributes.get("name"), str) else {}
    if attributes.get("run_on_apply", True) is not True:
        return known
    mark = predicted_of_pipeline(attributes)
    return {**known, "status": DONE, **({"fingerprint": mark} if mark else {}), **_foretold(attributes)}


def _foretold(attributes: Map) -> dict[str, Value]:
    """The specification, where nothing of it waits for a local file."""
    names = ("bucket", "name", "steps", "code", "image", "requirements")
    given = [attributes.get(n) for n in names]
    if not all(is_known(v) for v in given) or any(v is None for v in given[:5]):
        return {}
    local = isinstance(attributes.get("requirements"), Mapping) or any(
        isinstance(v, Mapping) and "://" not in str(v.get("uri", ""))
        for s in attributes["steps"].values()
        for v in s.get("inputs", EMPTY).values()
    )
    if local:
        return {}
    uris = {n: {k: _uri(v) for k, v in s.get("inputs", EMPTY).items()} for n, s in attributes["steps"].items()}
    try:
        run = describe(
            str(attributes["bucket"]),
            str(attributes["name"]),
            attributes["steps"],
            uris,
            tuple(attributes.get("requirements") or ()),
        )
    except Invalid:
        return {}
    archive = packed.archive_name(PACKAGE, str(attributes["code"]["digest"]), run)
    return {"spec": freeze(pipeline_spec(attributes, archive))}


def _uri(value: Value) -> str:
    return str(value["uri"] if isinstance(value, Mapping) else value)


class PipelineRun(KeptPipeline):
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.pipeline`, and where it runs. ``spec`` is what a schedule runs."""

    computed = ("spec", "url")
    schema = Schema(
        attributes={
            **PLACE,
            "parent": Attribute(type="string", required=True, description="projects/P/locations/L"),
            "service_account": Attribute(type="string"),
            "labels": Attribute(type="map"),
            **PIPELINE,
            "spec": Attribute(type="map", computed=True, description="KFP's PipelineSpec"),
        },
        predict=_predict,
        runs=True,
        run_inputs=PIPELINE_INPUTS,
        keeps=unreached,
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return secrets_in(attributes, ("steps",), PLAIN_TEXT)

    async def prepared(self, client: GcpClient, wanted: Map) -> Mapping[str, Value]:
        """The specification that a schedule runs, with its archive and this machine's inputs in the bucket."""
        bucket = str(wanted["bucket"])
        uris = {
            step: {n: await kept.bring(client, bucket, n, v, scheme=GS) for n, v in s.get("inputs", EMPTY).items()}
            for step, s in wanted["steps"].items()
        }
        lines = requirements(client.base, wanted.get("requirements"))
        archive = await upload(
            client, bucket, wanted["code"], describe(bucket, str(wanted["name"]), wanted["steps"], uris, lines)
        )
        return {"spec": freeze(pipeline_spec(wanted, archive))}

    async def start(self, client: GcpClient, desired: Desired, token: str, mark: str, made: Mapping[str, Value]) -> Any:
        wanted = desired.attributes
        body = {**job_of(wanted, made["spec"], mark), "labels": run_labels(client, desired, token)}
        where = {"parent": str(wanted["parent"]), "pipelineJobId": _job(wanted, token)}
        return await client.call(DOC, f"{_JOBS}.create", where, body)

    async def started(self, client: GcpClient, desired: Desired, token: str) -> Any | None:
        wanted = desired.attributes
        try:
            return await client.call(DOC, f"{_JOBS}.get", {"name": f"{wanted['parent']}/pipelineJobs/{_job(wanted, token)}"})
        except NotFound:
            return None

    async def ended(self, client: GcpClient, desired: Desired, job: Any) -> None:
        await waited(client, f"{_JOBS}.get", job)

    async def remove(self, client: GcpClient, recorded: ResourceState) -> None:
        await remove_jobs(client, recorded, "pipelineJobs")

    def url(self, job: Any) -> str:
        return console(job).removeprefix("its log: ")


def job_of(wanted: Map, spec: Value, run: str) -> dict[str, Any]:
    """The PipelineJob that runs ``spec`` under a name of ours."""
    body = {
        "displayName": str(wanted["name"]),
        "pipelineSpec": thaw(spec),
        "runtimeConfig": {"gcsOutputDirectory": f"gs://{wanted['bucket']}/vertex", "parameterValues": {"run": run}},
    }
    return {**body, **({"serviceAccount": wanted["service_account"]} if wanted.get("service_account") else {})}


def pipeline_spec(wanted: Mapping[str, Value], archive: str) -> dict[str, Any]:
    """KFP's PipelineSpec: a container for each step, in the order of their needs, with the run's name as a parameter."""
    run = {"parameters": {"run": {"parameterType": "STRING"}}}
    tasks, components, executors = {}, {}, {}
    for name, step in wanted["steps"].items():
        task: dict[str, Any] = {
            "taskInfo": {"name": name},
            "componentRef": {"name": f"comp-{name}"},
            "inputs": {"parameters": {"run": {"componentInputParameter": "run"}}},
            "cachingOptions": {"enableCache": False},
        }
        above = [n for n in step.get("needs", ()) if n in wanted["steps"]]
        if above:
            task["dependentTasks"] = above
        if step.get("retries"):
            task["retryPolicy"] = {"maxRetryCount": step["retries"]}
        tasks[name] = task
        components[f"comp-{name}"] = {"executorLabel": f"exec-{name}", "inputDefinitions": run}
        container: dict[str, Any] = {
            "image": wanted["image"],
            "command": command(str(wanted["bucket"]), archive, name),
            "args": ["{{$.inputs.parameters['run']}}"],
        }
        if step.get("env"):
            container["env"] = environment(step["env"])
        executors[f"exec-{name}"] = {"container": container}
    return {
        "pipelineInfo": {"name": str(wanted["name"])},
        "schemaVersion": "2.1.0",
        "sdkVersion": "mlinfra",
        "root": {"inputDefinitions": run, "dag": {"tasks": tasks}},
        "components": components,
        "deploymentSpec": {"executors": executors},
    }


def _job(wanted: Map, token: str) -> str:
    """The job's id: chosen from the operation's token, so that a crash's leftover is found by name."""
    clean = "".join(c if c.isalnum() else "-" for c in str(wanted["name"]).lower())[:80].strip("-")
    return f"{clean if clean[:1].isalpha() else 'p' + clean}-{token[:16]}"
