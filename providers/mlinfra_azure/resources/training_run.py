"""``azure.training_run``: one command job of Azure Machine Learning for each fingerprint, and what it left in its container."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import EMPTY, Map, Path
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs import given, jobs, kept, packed
from mlinfra.provider.runs.expectations import broken
from mlinfra.provider.runs.fingerprints import of_job
from mlinfra.provider.runs.jobs import DONE
from mlinfra_azure import jobs as bodies
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources import work

_PACKAGE = "mlinfra_azure"


class TrainingRun:
    """Attributes are those of :func:`mlinfra.provider.runs.lowering.job`, and where it runs. ``results`` maps each output to the
    URI of its content; ``artifact`` is that of ``model``, or of the first one. ``status``: ``done``, ``lost`` when what it left
    is gone, ``deferred`` while ``run_on_apply`` is off and nothing ran."""

    schema = Schema(
        attributes={**work.ATTRIBUTES, **jobs.ATTRIBUTES},
        predict=jobs.predict,
        runs=True,
        run_inputs=("code", "run", "params", "env", "inputs", "outputs", "requirements", "processes", "image", "status"),
        inside=("bucket",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs", "env"), why=work.PLAIN_TEXT)

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        known = recorded.attributes
        place, name, mark = str(known["bucket"]), str(known["name"]), str(known.get("fingerprint") or "")
        if await kept.owner(client, place, name) is None:
            return None
        outcome = await kept.recall(client, place, name, mark, ("run",)) if mark else None
        if outcome is None:
            return Observed(name, Map({**known, "status": work.DEFERRED if known.get("status") == work.DEFERRED else "lost"}))
        return _observed(known, mark, outcome, DONE)

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        await kept.claim(client, str(wanted["bucket"]), str(wanted["name"]), desired.address, token)
        return await self._make(client, desired, token)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._make(client, desired, uuid.uuid4().hex)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        """Its jobs and records go; content goes with its container, for others may refer to it."""
        await work.remove(client, recorded, "Command")

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        if await work.started(client, wanted, token):
            return await self._finish(client, desired, token)
        owner = await kept.owner(client, str(wanted["bucket"]), str(wanted["name"]))
        if owner is None or owner["op"] != token:
            return None
        outcome = await kept.recall(client, str(wanted["bucket"]), str(wanted["name"]), _mark(wanted), ("run",))
        if outcome is not None:
            return _observed(wanted, _mark(wanted), outcome, DONE)
        return _observed(wanted, "", None, work.DEFERRED if wanted.get("run_on_apply") is False else "lost")

    async def _make(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        place, name, mark = str(wanted["bucket"]), str(wanted["name"]), _mark(wanted)
        outcome = await kept.recall(client, place, name, mark, ("run",))
        if outcome is not None:
            expected = {k: v for k, v in wanted.get("expect", EMPTY).items() if k in outcome.metrics}
            problems = broken(expected, outcome.metrics, ())
            if problems:
                raise Invalid("; ".join(problems), path=("expect",))
            return _observed(wanted, mark, outcome, DONE)
        if not wanted.get("run_on_apply", True):
            return _observed(wanted, "", None, work.DEFERRED)
        uris = {n: await kept.bring(client, place, n, v) for n, v in wanted.get("inputs", EMPTY).items()}
        folders, files = await work.folders(client, uris)
        lines = given.requirements(client.base, wanted.get("requirements"))
        run = packed.describe(name, jobs.as_steps(wanted), {"run": uris}, lines, place=place, files={"run": files})
        archive = await packed.upload(client, _PACKAGE, place, wanted["code"], run, client.context.excluded)
        await kept.forget(client, place, name, mark)
        await work.start(client, desired, bodies.job(wanted, f"{place}/{archive}", folders, mark), token)
        return await self._finish(client, desired, token)

    async def _finish(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        mark = _mark(wanted)
        outcome = await work.outcome(client, desired, token, mark, ("run",), at=("run",))
        return _observed(wanted, mark, outcome, DONE)


def _mark(wanted: Map) -> str:
    return of_job(wanted, more={"image": wanted.get("image")})


def _observed(wanted: Mapping[str, object], mark: str, outcome: kept.Outcome | None, status: str) -> Observed:
    gave = outcome or kept.Outcome()
    computed = jobs.computed(Map(wanted), mark, gave.outputs, gave.digests, Map(gave.metrics), status)
    return Observed(str(wanted["name"]), Map({**wanted, **computed}))
