"""``azure.ml_workspace``, ``azure.ml_registry``, ``azure.ml_datastore``. https://learn.microsoft.com/rest/api/azureml"""

from __future__ import annotations

from mlinfra.model.resource import ResourceState
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_MADE = "set when the workspace is made (Workspaces - Update does not take it)"
_STORE = "a datastore points to one place: make another"


class MlWorkspace(TableType):
    """A workspace, with the storage account and the key vault that it stands on. One that was deleted holds its name for 14 days; with
    the setting ``purge`` it is purged at once."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.ml_workspace", arm="Microsoft.MachineLearningServices/workspaces", home="group", changes="patch",
                fixed={n: _MADE for n in ("storageAccount", "keyVault", "hbiWorkspace", "encryption", "kind", "hubResourceId",
                                          "enableDataIsolation", "allowPublicAccessWhenBehindVnet")},
                outputs={"principalId": "identity.principalId", "workspaceId": "properties.workspaceId",
                         "discoveryUrl": "properties.discoveryUrl", "mlFlowTrackingUri": "properties.mlFlowTrackingUri"},
                hidden=("discoveryUrl",), unread=("provisionNetworkNow",),
                name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}", "3 to 33 letters, digits, - and _"), holds_data=True,
            )
        )  # fmt: skip

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        query = {"forceToPurge": "true"} if client.config.purge else {}
        await client.delete(
            recorded.id, self.row.version, query=query, what=f"deleting {self.said({'name': recorded.id.rpartition('/')[2]})}"
        )


class MlRegistry(TableType):
    """A registry: models, data and environments for workspaces of whatever region."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.ml_registry", arm="Microsoft.MachineLearningServices/registries", home="group",
                fixed={n: "set when the registry is made" for n in ("managedResourceGroupSettings", "intellectualPropertyPublisher")},
                hidden=("discoveryUrl", "mlFlowRegistryUri", "managedResourceGroup", "registryPrivateEndpointConnections"),
                outputs={"discoveryUrl": "properties.discoveryUrl", "mlFlowRegistryUri": "properties.mlFlowRegistryUri"},
                name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9-]{2,32}", "3 to 33 letters, digits and -"), holds_data=True, costs=True,
            )
        )  # fmt: skip


class MlDatastore(TableType):
    """A place that a workspace reads from and writes to."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.ml_datastore", arm="Microsoft.MachineLearningServices/workspaces/datastores", marks="properties.tags",
                fixed={n: _STORE for n in ("datastoreType", "accountName", "containerName", "fileShareName", "filesystem", "storeName",
                                           "endpoint", "protocol", "subscriptionId", "resourceGroup")},
                secret=("credentials",), unread=("credentials",),
                name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9_]{0,254}", "letters, digits and _"),
            )
        )  # fmt: skip
