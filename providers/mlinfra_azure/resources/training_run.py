"""``azure.training_run``: one command job of Azure Machine Learning for each fingerprint, and what it left in its container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import EMPTY, Map, Path, Value
from mlinfra.provider.runs import given, jobs, kept, packed
from mlinfra.provider.runs.kept_run import JOB_INPUTS, KeptJob
from mlinfra_azure import jobs as bodies
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources import work


class TrainingRun(KeptJob):
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.job`, and where it runs."""

    schema = Schema(
        attributes={**work.ATTRIBUTES, **jobs.ATTRIBUTES},
        predict=jobs.predict,
        runs=True,
        run_inputs=JOB_INPUTS,
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs", "env"), why=work.PLAIN_TEXT)

    async def start(self, client: AzureClient, desired: Desired, token: str, mark: str, made: Mapping[str, Value]) -> str:
        wanted = desired.attributes
        place = str(wanted["bucket"])
        uris = {n: await kept.bring(client, place, n, v) for n, v in wanted.get("inputs", EMPTY).items()}
        folders, files = await work.folders(client, uris)
        lines = given.requirements(client.base, wanted.get("requirements"))
        run = packed.describe(str(wanted["name"]), jobs.as_steps(wanted), {"run": uris}, lines, place=place, files={"run": files})
        archive = await packed.upload(client, work.PACKAGE, place, wanted["code"], run, client.excluded)
        return await work.start(client, desired, bodies.job(wanted, f"{place}/{archive}", folders, mark), token)

    async def started(self, client: AzureClient, desired: Desired, token: str) -> str | None:
        return await work.started(client, desired.attributes, token)

    async def ended(self, client: AzureClient, desired: Desired, job: Any) -> None:
        await work.ended(client, job)

    async def remove(self, client: AzureClient, recorded: ResourceState) -> None:
        await work.remove(client, recorded, "Command")
