"""``azure.container_registry``. https://learn.microsoft.com/rest/api/container-registry"""

from __future__ import annotations

from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row


class ContainerRegistry(TableType):
    """A registry of images."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.container_registry", arm="Microsoft.ContainerRegistry/registries", home="group", changes="patch",
                fixed={"zoneRedundancy": "set when the registry is made (container-registry/zone-redundancy)"},
                outputs={"loginServer": "properties.loginServer"},
                name_rule=(r"[a-zA-Z0-9]{5,50}", "5 to 50 letters and digits"), holds_data=True, costs=True,
            )
        )  # fmt: skip
