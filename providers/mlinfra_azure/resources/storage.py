"""``azure.storage_account``, ``azure.blob_service``, ``azure.storage_container``, ``azure.storage_management_policy``.

https://learn.microsoft.com/rest/api/storagerp
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, Failure, NotFound
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.names import blob_address
from mlinfra_azure.parents import Marked
from mlinfra_azure.table import Row

_MADE = "set when the account is made (storage/common/storage-account-overview)"


def _account(identity: str) -> str:
    return identity.rpartition("/storageAccounts/")[2].partition("/")[0]


class StorageAccount(TableType):
    """A storage account. ``blobEndpoint`` is its blobs' address, without a slash at the end."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.storage_account", arm="Microsoft.Storage/storageAccounts", home="group", changes="patch",
                fixed={"kind": _MADE, "isHnsEnabled": _MADE, "isNfsV3Enabled": _MADE, "extendedLocation": _MADE, "dnsEndpointType": _MADE,
                       "zones": _MADE, "placement": _MADE, "immutableStorageWithVersioning": _MADE,
                       "encryption.requireInfrastructureEncryption": _MADE},
                outputs={"blobEndpoint": "properties.primaryEndpoints.blob"},
                name_rule=(r"[a-z0-9]{3,24}", "3 to 24 lower-case letters and digits"),
                holds_data=True, costs=True,
            )
        )  # fmt: skip

    def observed(self, client: AzureClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        seen = super().observed(client, identity, body, wanted)
        return Observed(
            identity, Map({**seen.attributes, "blobEndpoint": str(seen.attributes.get("blobEndpoint") or "").rstrip("/")})
        )

    async def stake(self, client: AzureClient, recorded: ResourceState) -> str:
        path = f"{recorded.id}/blobServices/default/containers"
        try:
            found = [c async for c in client.pages(path, self.row.version)]
        except NotFound:
            return ""
        return f"{len(found):,} container{'s' if len(found) != 1 else ''}" if found else ""


class StorageContainer(TableType):
    """A blob container. ``url`` is its address: ``https://ACCOUNT.blob.core.windows.net/NAME``. ``forceDestroy`` is not needed: Azure
    deletes a container with what is in it."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.storage_container", arm="Microsoft.Storage/storageAccounts/blobServices/containers",
                below="blobServices/default/containers", marks="properties.metadata", changes="put",
                fixed={"defaultEncryptionScope": "the encryption scope is set when the container is made",
                       "denyEncryptionScopeOverride": "the encryption scope is set when the container is made"},
                name_rule=(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "3 to 63 lower-case letters, digits and single hyphens"),
                outputs={"url": "url"}, holds_data=True,
            )
        )  # fmt: skip

    def observed(self, client: AzureClient, identity: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
        return super().observed(client, identity, {**body, "url": container_url(client.settings, identity)}, wanted)

    async def stake(self, client: AzureClient, recorded: ResourceState) -> str:
        try:
            found = await client.objects(str(recorded.attributes["url"]), "")
        except Failure:  # a network that does not reach the data is no reason to wait, or not to tell the rest
            return "blobs that cannot be counted from here"
        return f"{len(found):,} blob{'s' if len(found) != 1 else ''}" if found else ""


def container_url(settings: Mapping[str, Value], identity: str) -> str:
    """The address of a container, from its ARM id."""
    return f"{blob_address(settings, _account(identity))}/{identity.rpartition('/')[2]}"


class ManagementPolicy(TableType):
    """The rules by which blobs of an account are moved and deleted by age."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.storage_management_policy", arm="Microsoft.Storage/storageAccounts/managementPolicies", only="default",
                marks="parent", changes="put", listed=False,
            )
        )  # fmt: skip


class BlobService(TableType):
    """How an account keeps blobs: versions, soft deletion, CORS. It is there as long as the account is; making it sets it, deleting it
    puts Azure's defaults back."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.blob_service", arm="Microsoft.Storage/storageAccounts/blobServices", only="default", marks="parent",
                changes="put", listed=False,
            )
        )  # fmt: skip

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        if not await self._looked_after(client, recorded.id).token():
            return None
        return await super().read(client, recorded)

    async def read_many(self, client: AzureClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        seen = {state.id: await self.read(client, state) for state in recorded}
        return {id: found for id, found in seen.items() if found is not None}

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        identity = self.row.identity(self.placed(client, desired.attributes))
        assert identity is not None
        mark = self._looked_after(client, identity)
        held = await mark.token()
        if held and held != token:
            raise AlreadyExists(f"{identity} is looked after by another resource already", import_id=identity)
        body = self.body(client, desired.attributes, {}, "")
        await mark.mark(token)
        await client.put(identity, self.row.version, body, what=f"setting {self.said(desired.attributes)}")
        return await self.ready(client, identity, desired)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        mark = self._looked_after(client, recorded.id)
        if await mark.token():
            await client.put(recorded.id, self.row.version, {"properties": {}}, what="setting Azure's defaults back")
            await mark.unmark()

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        found = await super().adopt(client, id)
        mark = self._looked_after(client, id.rstrip("/"))
        if found is not None and not await mark.token():
            await mark.mark("imported")
        return found

    def _looked_after(self, client: AzureClient, identity: str) -> Marked:
        return Marked(client, identity, self.row.parent_of(identity))
