"""``azure.key_vault``. https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults"""

from __future__ import annotations

from mlinfra.model.resource import ResourceState
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row


class KeyVault(TableType):
    """A key vault. One that was deleted holds its name for ``softDeleteRetentionInDays``; with the setting ``purge`` it is purged too,
    which a vault with ``enablePurgeProtection`` refuses."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.key_vault", arm="Microsoft.KeyVault/vaults", home="group", changes="patch",
                fixed={"tenantId": "a vault belongs to one tenant (key-vault/general/move-subscription)",
                       "softDeleteRetentionInDays": "set when the vault is made (key-vault/general/soft-delete-overview)"},
                hidden=("provisioningState", "vaultUri"), unread=("createMode",), outputs={"vaultUri": "properties.vaultUri"},
                name_rule=(r"(?!.*--)[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]", "3 to 24 letters, digits and single hyphens, a letter first"),
                holds_data=True,
            )
        )  # fmt: skip

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        live = await client.get(recorded.id, self.row.version)
        await super().delete(client, recorded)
        if live is None or not client.config.purge or (live.get("properties") or {}).get("enablePurgeProtection"):
            return
        name, location = recorded.id.rpartition("/")[2], str(live["location"]).replace(" ", "").lower()
        deleted = f"/subscriptions/{client.subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}"
        if await client.get(deleted, self.row.version) is not None:
            await client.post(deleted, "purge", self.row.version, what=f"purging {name}")
