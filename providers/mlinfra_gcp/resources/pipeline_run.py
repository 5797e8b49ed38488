"""``gcp.pipeline_run``: a pipeline compiled for Vertex AI Pipelines, run once for each fingerprint, and what the run left.

The specification is KFP's: https://www.kubeflow.org/docs/components/pipelines/user-guides/core-functions/compile-a-pipeline/,
https://cloud.google.com/vertex-ai/docs/pipelines/build-pipeline
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze, is_known, thaw
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.runs import kept, packed
from mlinfra.provider.runs.fingerprints import of_pipeline, predicted_of_pipeline
from mlinfra.provider.runs.given import requirements
from mlinfra.provider.runs.jobs import DONE, secrets_in
from mlinfra.provider.runs.reach import kept as unreached
from mlinfra_gcp import containers, marks
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.resources.training_run import DEFERRED, DOC, PLAIN_TEXT, console, exists, remove_jobs, waited

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
        run = containers.describe(
            str(attributes["bucket"]),
            str(attributes["name"]),
            attributes["steps"],
            uris,
            tuple(attributes.get("requirements") or ()),
        )
    except Invalid:
        return {}
    archive = packed.archive_name(containers.PACKAGE, str(attributes["code"]["digest"]), run)
    return {"spec": freeze(pipeline_spec(attributes, archive))}


def _uri(value: Value) -> str:
    return str(value["uri"] if isinstance(value, Mapping) else value)


class PipelineRun:
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.pipeline`, and where it runs. ``outputs`` are URIs by content,
    so that a run that gives the same moves nothing downstream. ``spec`` is what a schedule runs. ``status``: ``done``,
    ``incomplete`` when what it left is gone, ``deferred`` while ``run_on_apply`` is off and nothing ran."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="its results are kept under it"),
            "bucket": Attribute(type="string", required=True, immutable=True, source="the bucket that holds what it leaves"),
            "parent": Attribute(type="string", required=True, description="projects/P/locations/L"),
            "image": Attribute(type="string", required=True),
            "service_account": Attribute(type="string"),
            "labels": Attribute(type="map"),
            "code": Attribute(type="map", required=True),
            "steps": Attribute(type="map", required=True),
            "requirements": Attribute(type="any"),
            "run_on_apply": Attribute(type="boolean"),
            "id": Attribute(type="string", computed=True),
            "spec": Attribute(type="map", computed=True, description="KFP's PipelineSpec"),
            "outputs": Attribute(type="map", computed=True),
            "metrics": Attribute(type="map", computed=True),
            "fingerprint": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
            "url": Attribute(type="string", computed=True, description="the newest run in the console"),
        },
        predict=_predict,
        runs=True,
        run_inputs=("code", "steps", "requirements", "image", "run_on_apply", "fingerprint", "status"),
        keeps=unreached,
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return secrets_in(attributes, ("steps",), PLAIN_TEXT)

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        known = recorded.attributes
        bucket, name = str(known["bucket"]), str(known["name"])
        if await kept.owner(client, bucket, name) is None:
            return None
        mark = str(known.get("fingerprint") or "")
        outcome = await kept.recall(client, bucket, name, mark, known["steps"]) if mark else None
        if outcome is None:
            status = DEFERRED if known.get("status") == DEFERRED else "incomplete"
            return Observed(name, Map({**known, "status": status, "fingerprint": ""}))
        return _observed(known, known.get("spec"), mark, outcome, DONE, str(known.get("url") or ""))

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        await kept.claim(client, str(wanted["bucket"]), str(wanted["name"]), desired.address, token)
        return await self._make(client, desired, token)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._make(client, desired, uuid.uuid4().hex)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        """What runs left goes with its bucket; its jobs are taken away here."""
        await remove_jobs(client, recorded, "pipelineJobs")
        if await exists(client, str(recorded.attributes["bucket"])):
            await client.remove_objects(str(recorded.attributes["bucket"]), f"results/{recorded.id}/")

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        try:
            job = await client.call(
                DOC, f"{_JOBS}.get", {"name": f"{desired.attributes['parent']}/pipelineJobs/{_job(desired.attributes, token)}"}
            )
        except NotFound:
            return await self._claimed(client, desired.attributes, token)
        spec, _ = await self._compiled(client, desired.attributes)
        return await self._finish(client, desired, job, spec)

    async def _claimed(self, client: GcpClient, known: Map, token: str) -> Observed | None:
        """What a create left that started no job."""
        bucket, name = str(known["bucket"]), str(known["name"])
        owner = await kept.owner(client, bucket, name)
        if owner is None or owner["op"] != token:
            return None
        spec, _ = await self._compiled(client, known)
        mark = of_pipeline(known)
        outcome = await kept.recall(client, bucket, name, mark, known["steps"])
        if outcome is not None:
            return _observed(known, spec, mark, outcome, DONE, "")
        return _observed(known, spec, "", None, DEFERRED if known.get("run_on_apply") is False else "incomplete", "")

    async def _make(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        bucket, name, mark = str(wanted["bucket"]), str(wanted["name"]), of_pipeline(wanted)
        spec, run = await self._compiled(client, wanted)
        await containers.upload(client, bucket, wanted["code"], run)
        outcome = await kept.recall(client, bucket, name, mark, wanted["steps"])
        if outcome is not None:
            return _observed(wanted, spec, mark, outcome, DONE, "")
        if not wanted.get("run_on_apply", True):
            return _observed(wanted, spec, "", None, DEFERRED, "")
        await kept.forget(client, bucket, name, mark)
        labels = {**client.owner(desired.address, token).labels(), "mlinfra-run": marks.label_value(name)}
        body = {**job_of(wanted, spec, mark), "labels": {**client.config.labels, **thaw(wanted.get("labels", EMPTY)), **labels}}
        where = {"parent": str(wanted["parent"]), "pipelineJobId": _job(wanted, token)}
        job = await client.call(DOC, f"{_JOBS}.create", where, body)
        return await self._finish(client, desired, job, spec)

    async def _compiled(self, client: GcpClient, wanted: Map) -> tuple[Value, str]:
        bucket = str(wanted["bucket"])
        uris = {
            step: {n: await kept.bring(client, bucket, n, v, scheme=containers.GS) for n, v in s.get("inputs", EMPTY).items()}
            for step, s in wanted["steps"].items()
        }
        run = containers.describe(
            bucket, str(wanted["name"]), wanted["steps"], uris, requirements(client.base, wanted.get("requirements"))
        )
        return freeze(pipeline_spec(wanted, packed.archive_name(containers.PACKAGE, str(wanted["code"]["digest"]), run))), run

    async def _finish(self, client: GcpClient, desired: Desired, job: Mapping[str, Any], spec: Value) -> Observed:
        wanted = desired.attributes
        bucket, name, mark = str(wanted["bucket"]), str(wanted["name"]), of_pipeline(wanted)
        try:
            await waited(client, f"{_JOBS}.get", job)
        except Invalid as failure:
            said = await kept.complaint(client, bucket, name, mark, wanted["steps"])
            raise Invalid(said or failure.message, path=("steps",), hint=failure.hint or console(job)) from failure
        outcome = await kept.recall(client, bucket, name, mark, wanted["steps"])
        if outcome is None:
            raise Invalid(f"the pipeline {job['name']} succeeded, but left no results in {bucket}")
        return _observed(wanted, spec, mark, outcome, DONE, console(job).removeprefix("its log: "))


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
            "command": containers.command(str(wanted["bucket"]), archive, name),
            "args": ["{{$.inputs.parameters['run']}}"],
        }
        if step.get("env"):
            container["env"] = containers.environment(step["env"])
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


def _observed(wanted: Map, spec: Value, mark: str, outcome: kept.Outcome | None, status: str, url: str) -> Observed:
    declared = [o for step in wanted["steps"].values() for o in step.get("outputs", ())]
    found = outcome.outputs if outcome else {}
    computed: dict[str, Value] = {
        "id": wanted["name"],
        "spec": spec,
        "outputs": Map({o: found.get(o) for o in declared}),
        "metrics": freeze(dict(outcome.metrics)) if outcome else Map(),
        "fingerprint": mark,
        "status": status,
        "url": url,
    }
    return Observed(str(wanted["name"]), Map({**wanted, **computed}))
