"""``azure.resource_group``. https://learn.microsoft.com/rest/api/resources/resource-groups"""

from __future__ import annotations

from mlinfra.model.resource import ResourceState
from mlinfra.provider.failures import Invalid
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_INSIDE = "2021-04-01"


class ResourceGroup(TableType):
    """A resource group. It is deleted when nothing lies in it any more: what others put there is not ours to delete."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.resource_group", arm="Microsoft.Resources/resourceGroups", home="subscription", below="resourceGroups",
                fixed={"managedBy": "managedBy is set when the group is made"},
                name_rule=(r"[-\w.()]{0,89}[-\w()]", "1 to 90 letters, digits, _ - . ( ), no . at the end"),
            )
        )  # fmt: skip

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        if await client.get(recorded.id, self.row.version) is None:
            return
        inside = [str(item["id"]) async for item in client.pages(f"{recorded.id}/resources", _INSIDE)]
        if inside:
            shown = ", ".join(i.rpartition("/providers/")[2] for i in inside[:3]) + (", …" if len(inside) > 3 else "")
            name = recorded.id.rpartition("/")[2]
            raise Invalid(
                f"the resource group {name} holds {len(inside)} more, which this stack did not make, or still needs: {shown}",
                hint=f"look at them: az resource list -g {name} -o table",
            )
        await super().delete(client, recorded)
