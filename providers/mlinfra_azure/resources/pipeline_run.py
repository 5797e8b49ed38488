"""``azure.pipeline_run``: a pipeline job of Azure Machine Learning, run once for each fingerprint, and what the run left."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze, thaw
from mlinfra.provider.runs import kept, packed
from mlinfra.provider.runs.fingerprints import of_pipeline, predicted_of_pipeline
from mlinfra.provider.runs.given import requirements
from mlinfra.provider.runs.jobs import DONE, secrets_in
from mlinfra.provider.runs.reach import kept as unreached
from mlinfra_azure import jobs as bodies
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources import work

_PACKAGE = "mlinfra_azure"
SCHEDULED = "scheduled"
"""The name of the runs that a schedule starts: what they leave is not what an apply waits for."""


def _predict(attributes: Map) -> Mapping[str, Value]:
    known: dict[str, Value] = {"id": attributes["name"]} if isinstance(attributes.get("name"), str) else {}
    if attributes.get("run_on_apply", True) is not True:
        return known
    mark = predicted_of_pipeline(attributes)
    return {**known, "status": DONE, **({"fingerprint": mark} if mark else {})}


class PipelineRun:
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.pipeline`, and where it runs; ``components`` are the ARM ids of the
    steps' component versions. ``outputs`` are URIs by content, so that a run that gives the same moves nothing downstream.
    ``definition`` is the job that a schedule starts. ``status``: ``done``, ``incomplete`` when what it left is gone, ``deferred`` while
    ``run_on_apply`` is off and nothing ran."""

    schema = Schema(
        attributes={
            **work.ATTRIBUTES,
            "components": Attribute(type="map", required=True),
            "code": Attribute(type="map", required=True),
            "steps": Attribute(type="map", required=True),
            "requirements": Attribute(type="any"),
            "run_on_apply": Attribute(type="boolean"),
            "id": Attribute(type="string", computed=True),
            "definition": Attribute(type="map", computed=True, description="the pipeline job's body"),
            "outputs": Attribute(type="map", computed=True),
            "metrics": Attribute(type="map", computed=True),
            "fingerprint": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
            "url": Attribute(type="string", computed=True, description="the newest run in the studio"),
        },
        predict=_predict,
        runs=True,
        run_inputs=("code", "steps", "requirements", "image", "run_on_apply", "fingerprint", "status"),
        keeps=unreached,
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return secrets_in(attributes, ("steps",), work.PLAIN_TEXT)

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        known = recorded.attributes
        place, name, mark = str(known["bucket"]), str(known["name"]), str(known.get("fingerprint") or "")
        if await kept.owner(client, place, name) is None:
            return None
        outcome = await kept.recall(client, place, name, mark, known["steps"]) if mark else None
        if outcome is None:
            status = work.DEFERRED if known.get("status") == work.DEFERRED else "incomplete"
            return Observed(name, Map({**known, "status": status, "fingerprint": ""}))
        return _observed(known, known.get("definition"), mark, outcome, DONE, str(known.get("url") or ""))

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        await kept.claim(client, str(wanted["bucket"]), str(wanted["name"]), desired.address, token)
        return await self._make(client, desired, token)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._make(client, desired, uuid.uuid4().hex)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        """Its jobs and records go; content goes with its container, for others may refer to it."""
        await work.remove(client, recorded, "Pipeline")

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        place, name = str(wanted["bucket"]), str(wanted["name"])
        if await work.started(client, wanted, token):
            return await self._finish(client, desired, token, (await self._described(client, wanted))[0])
        owner = await kept.owner(client, place, name)
        if owner is None or owner["op"] != token:
            return None
        definition, _ = await self._described(client, wanted)
        mark = of_pipeline(wanted)
        outcome = await kept.recall(client, place, name, mark, wanted["steps"])
        if outcome is not None:
            return _observed(wanted, definition, mark, outcome, DONE, "")
        status = work.DEFERRED if wanted.get("run_on_apply") is False else "incomplete"
        return _observed(wanted, definition, "", None, status, "")

    async def _make(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        place, name, mark = str(wanted["bucket"]), str(wanted["name"]), of_pipeline(wanted)
        definition, run = await self._described(client, wanted)
        await packed.upload(client, _PACKAGE, place, wanted["code"], run, client.context.excluded)
        outcome = await kept.recall(client, place, name, mark, wanted["steps"])
        if outcome is not None:
            return _observed(wanted, definition, mark, outcome, DONE, "")
        if not wanted.get("run_on_apply", True):
            return _observed(wanted, definition, "", None, work.DEFERRED, "")
        await kept.forget(client, place, name, mark)
        body = thaw(definition)
        body["inputs"]["run"]["value"] = mark
        await work.start(client, desired, body, token)
        return await self._finish(client, desired, token, definition)

    async def _described(self, client: AzureClient, wanted: Map) -> tuple[Value, str]:
        """The job as a schedule starts it, and ``run.json``. Inputs of this machine are uploaded first."""
        place = str(wanted["bucket"])
        uris: dict[str, dict[str, str]] = {}
        folders: dict[str, dict[str, str]] = {}
        files: dict[str, dict[str, str]] = {}
        for name, step in wanted["steps"].items():
            uris[name] = {n: await kept.bring(client, place, n, v) for n, v in step.get("inputs", EMPTY).items()}
            folders[name], files[name] = await work.folders(client, uris[name])
        lines = requirements(client.base, wanted.get("requirements"))
        run = packed.describe(str(wanted["name"]), wanted["steps"], uris, lines, place=place, files=files)
        archive = packed.archive_name(_PACKAGE, str(wanted["code"]["digest"]), run)
        return freeze(bodies.pipeline(wanted, f"{place}/{archive}", folders, SCHEDULED)), run

    async def _finish(self, client: AzureClient, desired: Desired, token: str, definition: Value) -> Observed:
        wanted = desired.attributes
        mark = of_pipeline(wanted)
        outcome = await work.outcome(client, desired, token, mark, wanted["steps"], at=("steps",))
        return _observed(wanted, definition, mark, outcome, DONE, work.studio(work.job_id(wanted, token)))


def _observed(wanted: Map, definition: Value, mark: str, outcome: kept.Outcome | None, status: str, url: str) -> Observed:
    declared = [o for step in wanted["steps"].values() for o in step.get("outputs", ())]
    found = outcome.outputs if outcome else {}
    computed: dict[str, Value] = {
        "id": wanted["name"],
        "definition": definition,
        "outputs": Map({o: found.get(o) for o in declared}),
        "metrics": freeze(dict(outcome.metrics)) if outcome else Map(),
        "fingerprint": mark,
        "status": status,
        "url": url,
    }
    return Observed(str(wanted["name"]), Map({**wanted, **computed}))
