"""``azure.pipeline_run``: a pipeline job of Azure Machine Learning, run once for each fingerprint, and what the run left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze, thaw
from mlinfra.provider.runs import kept, packed
from mlinfra.provider.runs.fingerprints import predicted_of_pipeline
from mlinfra.provider.runs.given import requirements
from mlinfra.provider.runs.jobs import DONE, secrets_in
from mlinfra.provider.runs.kept_run import PIPELINE, PIPELINE_INPUTS, KeptPipeline
from mlinfra.provider.runs.reach import kept as unreached
from mlinfra_azure import jobs as bodies
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources import work

SCHEDULED = "scheduled"
"""The name of the runs that a schedule starts: what they leave is not what an apply waits for."""


def _predict(attributes: Map) -> Mapping[str, Value]:
    known: dict[str, Value] = {"id": attributes["name"]} if isinstance(attributes.get("name"), str) else {}
    if attributes.get("run_on_apply", True) is not True:
        return known
    mark = predicted_of_pipeline(attributes)
    return {**known, "status": DONE, **({"fingerprint": mark} if mark else {})}


class PipelineRun(KeptPipeline):
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.pipeline`, and where it runs; ``components`` are the ARM ids of the
    steps' component versions. ``definition`` is the job that a schedule starts."""

    computed: ClassVar[tuple[str, ...]] = ("url", "definition")
    schema = Schema(
        attributes={
            **work.ATTRIBUTES,
            "components": Attribute(type="map", required=True),
            **PIPELINE,
            "definition": Attribute(type="map", computed=True, description="the pipeline job's body"),
        },
        predict=_predict,
        runs=True,
        run_inputs=PIPELINE_INPUTS,
        keeps=unreached,
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return secrets_in(attributes, ("steps",), work.PLAIN_TEXT)

    async def prepared(self, client: AzureClient, wanted: Map) -> Mapping[str, Value]:
        """The job as a schedule starts it; its archive, and inputs of this machine, are uploaded first."""
        place = str(wanted["bucket"])
        uris: dict[str, dict[str, str]] = {}
        folders: dict[str, dict[str, str]] = {}
        files: dict[str, dict[str, str]] = {}
        for name, step in wanted["steps"].items():
            uris[name] = {n: await kept.bring(client, place, n, v) for n, v in step.get("inputs", EMPTY).items()}
            folders[name], files[name] = await work.folders(client, uris[name])
        lines = requirements(client.base, wanted.get("requirements"))
        run = packed.describe(str(wanted["name"]), wanted["steps"], uris, lines, place=place, files=files)
        archive = await packed.upload(client, work.PACKAGE, place, wanted["code"], run, client.excluded)
        return {"definition": freeze(bodies.pipeline(wanted, f"{place}/{archive}", folders, SCHEDULED))}

    async def start(self, client: AzureClient, desired: Desired, token: str, mark: str, made: Mapping[str, Value]) -> str:
        body = thaw(made["definition"])
        body["inputs"]["run"]["value"] = mark
        return await work.start(client, desired, body, token)

    async def started(self, client: AzureClient, desired: Desired, token: str) -> str | None:
        return await work.started(client, desired.attributes, token)

    async def ended(self, client: AzureClient, desired: Desired, job: Any) -> None:
        await work.ended(client, job)

    def url(self, job: Any) -> str:
        return work.studio(str(job))

    async def remove(self, client: AzureClient, recorded: ResourceState) -> None:
        await work.remove(client, recorded, "Pipeline")
