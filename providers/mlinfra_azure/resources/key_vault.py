"""``azure.key_vault``. https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults"""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map, Path
from mlinfra_azure.client import REGISTRATION, AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_TENANT = "a vault belongs to one tenant (key-vault/general/move-subscription)"


class KeyVault(TableType):
    """A key vault, of the subscription's tenant where none is given.

    One that was deleted holds its name for ``softDeleteRetentionInDays``; with the setting ``purge`` it is purged too, which a vault with
    ``enablePurgeProtection`` refuses."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.key_vault", arm="Microsoft.KeyVault/vaults", home="group", changes="patch",
                fixed={"softDeleteRetentionInDays": "set when the vault is made (key-vault/general/soft-delete-overview)"},
                hidden=("provisioningState", "vaultUri"), unread=("createMode",), outputs={"vaultUri": "properties.vaultUri"},
                adds={"tenantId": Attribute(type="string", computed=True, immutable=True, source=_TENANT)},
                name_rule=(r"(?!.*--)[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]", "3 to 24 letters, digits and single hyphens, a letter first"),
                holds_data=True,
            )
        )  # fmt: skip

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        if desired.attributes.get("tenantId") is None:
            subscription = await client.get(f"/subscriptions/{client.subscription}", REGISTRATION) or {}
            tenant = Map({**desired.attributes, "tenantId": str(subscription.get("tenantId", ""))})
            desired = replace(desired, attributes=tenant)
        return await super().create(client, desired, token)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return [problem for problem in super().validate(attributes) if problem[0] != ("tenantId",) or "tenantId" in attributes]

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        live = await client.get(recorded.id, self.row.version)
        await super().delete(client, recorded)
        if live is None or not client.config.purge or (live.get("properties") or {}).get("enablePurgeProtection"):
            return
        name, location = recorded.id.rpartition("/")[2], str(live["location"]).replace(" ", "").lower()
        deleted = f"/subscriptions/{client.subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}"
        if await client.get(deleted, self.row.version) is not None:
            await client.post(deleted, "purge", self.row.version, what=f"purging {name}")
