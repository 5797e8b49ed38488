"""``azure.ml_compute``. https://learn.microsoft.com/rest/api/azureml/compute"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map, reveal, thaw
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Body, Row

_UPDATE = "Compute - Update takes scaleSettings alone (Microsoft.MachineLearningServices/workspaces/computes@2026-05-01)"
_PARTS = (
    "vmSize", "vmPriority", "osType", "subnet", "enableNodePublicIp", "isolatedNetwork", "virtualMachineImage", "userAccountCredentials",
    "remoteLoginPortPublicAccess", "propertyBag", "computeInstanceAuthorizationType", "personalComputeInstanceSettings", "sshSettings",
)  # fmt: skip


class MlCompute(TableType):
    """Hardware of a workspace: ``computeType: AmlCompute`` with ``properties: {vmSize, vmPriority, scaleSettings}``."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.ml_compute", arm="Microsoft.MachineLearningServices/workspaces/computes", changes="patch",
                fixed={**{n: _UPDATE for n in ("computeType", "computeLocation", "description", "disableLocalAuth", "resourceId", "sku",
                                               "tags", "identity")},
                       **{f"properties.{n}": _UPDATE for n in _PARTS}},
                outputs={"state": "properties.properties.allocationState"}, volatile=("state",),
                unread=("properties.userAccountCredentials.adminUserPassword",),
                delete_query={"underlyingResourceAction": "Delete"},
                name_rule=(r"[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]", "3 to 24 letters, digits and -, a letter first"), costs=True,
            )
        )  # fmt: skip

    def patch_body(self, client: AzureClient, live: Body, wanted: Map, changed: Sequence[str], recorded: ResourceState) -> Body:
        inner: Any = wanted.get("properties")
        scale = inner.get("scaleSettings") if isinstance(inner, Mapping) else None
        return {"properties": {"properties": {"scaleSettings": thaw(reveal(scale))}}}
