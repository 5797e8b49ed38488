"""``azure.ml_job``, ``azure.ml_schedule``. https://learn.microsoft.com/rest/api/azureml/jobs"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import ResourceState
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding", "Paused"})
_CHANGING = {"displayName", "description", "tags", "properties", "isArchived"}
_NAME = (r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}", "1 to 255 letters, digits, _ and -")


def has_ended(body: Mapping[str, Any]) -> bool:
    """Whether a job does nothing any more."""
    return str((body.get("properties") or {}).get("status", "")) in ENDED


class MlJob(TableType):
    """A job. Making it sends it; its end is not waited for. What it does never changes: another job is another name."""

    def __init__(self) -> None:
        row = Row(type="azure.ml_job", arm="Microsoft.MachineLearningServices/workspaces/jobs")
        super().__init__(
            Row(
                type=row.type, arm=row.arm, marks="properties.tags", name_rule=_NAME, runs=True, costs=True,
                fixed={n: f"a job never changes what it does ({row.contract.cited})" for n in row.places if n not in _CHANGING | {"services"}},
                outputs={"status": "properties.status", "services": "properties.services"}, volatile=("status", "services"),
                hidden=("services",), unread=("queueSettings",),
            )
        )  # fmt: skip

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        await stop(client, recorded.id, self.row.version)
        await super().delete(client, recorded)


async def stop(client: AzureClient, identity: str, version: str) -> None:
    """Cancel a job that has not ended, and wait until it has."""
    live = await client.get(identity, version)
    if live is None or has_ended(live):
        return
    with suppress(NotFound, Invalid):  # it ended by itself
        await client.post(identity, "cancel", version, what=f"cancelling {identity.rpartition('/')[2]}")
    attempt = 0
    while (live := await client.get(identity, version)) is not None and not has_ended(live):
        await client.pause(attempt)
        attempt += 1


class MlSchedule(TableType):
    """When a job is made, again and again."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.ml_schedule", arm="Microsoft.MachineLearningServices/workspaces/schedules", marks="properties.tags",
                name_rule=_NAME, costs=True,
            )
        )  # fmt: skip
