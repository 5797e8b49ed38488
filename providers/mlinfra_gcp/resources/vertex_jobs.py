"""``gcp.vertex_custom_job``, ``gcp.vertex_pipeline_job``, ``gcp.vertex_schedule``, ``gcp.vertex_persistent_resource``.

Jobs never change: a new one is made. https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Failure, Invalid, NotFound, Quota
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.errors import operation_failure
from mlinfra_gcp.table import Body, Row

DOC = "aiplatform.v1"
_V = "GoogleCloudAiplatformV1"
_L = "projects.locations"
_ENDED = {"JOB_STATE_SUCCEEDED", "PIPELINE_STATE_SUCCEEDED"}
_BROKEN = {
    "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED",
}  # fmt: skip


def job_failure(body: Mapping[str, Any]) -> Failure | None:
    """Why a job ended badly; None when it did not."""
    state = str(body.get("state", ""))
    if state not in _BROKEN:
        return None
    what = state.rpartition("_")[2].lower()
    error = body.get("error") or {}
    failure = operation_failure(error, service="aiplatform", project=str(body["name"]).split("/")[1]) if error else Invalid(what)
    said = f"{body.get('displayName') or body['name']} {'failed' if what == 'failed' else f'was {what}'}: {failure.message}"
    return Quota(said, hint=failure.hint) if isinstance(failure, Quota) else Invalid(said, hint=failure.hint)


def _ready(body: Body) -> str | None:
    failure = job_failure(body)
    if failure is not None:
        raise failure
    state = str(body.get("state", ""))
    return None if state in _ENDED else state.removeprefix("JOB_STATE_").removeprefix("PIPELINE_STATE_").lower() or "queued"


class _Job(TableType):
    """A job that runs to its end; deleting one that still runs cancels it first."""

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        live = await self.get(client, recorded.id)
        if live is None:
            return
        if live.get("state") not in _ENDED | _BROKEN:
            with suppress(NotFound, Invalid):  # it ended by itself
                await client.call(DOC, f"{self.row.collection}.cancel", {"name": recorded.id}, {})
            attempt = 0
            while live is not None and live.get("state") not in _ENDED | _BROKEN:
                await client.pause(attempt)
                attempt, live = attempt + 1, await self.get(client, recorded.id)
        await super().delete(client, recorded)


class CustomJob(_Job):
    """A custom job. Google chooses its name: a crash's leftover is found by its label."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.vertex_custom_job", doc=DOC, collection=f"{_L}.customJobs", schema=f"{_V}CustomJob", scope="location",
                chosen="", search="labels.mlinfra-op={token}", changes="", extra={"state": lambda b: b["state"]},
                predict=lambda a: {"state": "JOB_STATE_SUCCEEDED"}, ready=_ready, runs=True,
            )
        )  # fmt: skip


class PipelineJob(_Job):
    """One run of a pipeline."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.vertex_pipeline_job", doc=DOC, collection=f"{_L}.pipelineJobs", schema=f"{_V}PipelineJob", scope="location",
                chosen="pipelineJobId", changes="", extra={"state": lambda b: b["state"]},
                predict=lambda a: {"state": "PIPELINE_STATE_SUCCEEDED"}, ready=_ready, runs=True,
                name_pattern=r"[a-z][-a-z0-9]{0,127}",
            )
        )  # fmt: skip


class Schedule(TableType):
    """A schedule of pipeline jobs. It has no labels itself and Google chooses its name: it is known by those of its job."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.vertex_schedule", doc=DOC, collection=f"{_L}.schedules", schema=f"{_V}Schedule", scope="location", chosen="",
                marks=("createPipelineJobRequest", "pipelineJob", "labels"), extra={"state": lambda b: b["state"]},
                predict=lambda a: {"state": "ACTIVE"}, hidden=("catchUp",),
            )
        )  # fmt: skip

    async def updated(self, client: GcpClient, recorded: ResourceState, desired: Any) -> None:
        """A paused schedule goes on again: that it is active is what was promised."""
        live = await self.get(client, recorded.id)
        if live is not None and live.get("state") == "PAUSED":
            await client.call(DOC, f"{_L}.schedules.resume", {"name": recorded.id}, {})


class PersistentResource(TableType):
    """Machines that stay up for jobs."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.vertex_persistent_resource", doc=DOC, collection=f"{_L}.persistentResources", schema=f"{_V}PersistentResource",
                scope="location", chosen="persistentResourceId", fixed={n: "set when it is made" for n in ("network", "encryptionSpec")},
                extra={"state": lambda b: b["state"]}, predict=_running, ready=_up, costs=True,
                name_pattern=r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?",
            )
        )  # fmt: skip


def _running(attributes: Map) -> Mapping[str, Value]:
    return {"state": "RUNNING"}


def _up(body: Body) -> str | None:
    if body.get("state") == "ERROR":
        raise operation_failure(body.get("error") or {"message": "it is in state ERROR"}, service="aiplatform", project="")
    return None if body.get("state") == "RUNNING" else str(body.get("state", "")).lower()
