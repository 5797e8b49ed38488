"""``gcp.tpu_queued_resource``. https://cloud.google.com/tpu/docs/reference/rest/v2/projects.locations.queuedResources"""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Quota
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Body, Row


def _ready(body: Body) -> str | None:
    state = str((body.get("state") or {}).get("state", ""))
    if state in ("FAILED", "SUSPENDED"):
        why = ((body.get("state") or {}).get("failedData") or {}).get("error", {}).get("message", "")
        raise Quota(f"the queued resource is {state.lower()}{': ' + why if why else ''}", hint="try another zone, or spot")
    return None


class QueuedResource(TableType):
    """TPU slices, queued until there is room. It is made when Google has taken it into the queue (``state``); its nodes carry
    the labels, for it has none itself."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.tpu_queued_resource", doc="tpu.v2", collection="projects.locations.queuedResources", schema="QueuedResource",
                scope="location", chosen="queuedResourceId", marks=("tpu", "nodeSpec", 0, "node", "labels"), changes="",
                request_id=True, allowed_by="tpu.nodes.create", delete_query={"force": True}, ready=_ready, hidden=("state",),
                extra={"status": lambda b: (b.get("state") or {}).get("state", "")},
                name_pattern=_NAME, costs=True,
            )
        )  # fmt: skip

    def placed(self, client: GcpClient, attributes: Mapping[str, Value]) -> Map:
        """A TPU's location is a zone."""
        return super().placed(client, {"location": client.zone, **{k: v for k, v in attributes.items() if v is not None}})


_NAME = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
