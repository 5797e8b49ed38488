"""The Azure provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

_HERE = "mlinfra_azure"


class AzureProvider:
    """Microsoft Azure, by Azure Resource Manager."""

    name = "azure"
    types: Mapping[str, ResourceType] = Lazy({})
    lowerings: Mapping[str, Lowering] = Lazy({})
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 64

    @property
    def config(self) -> type[Any]:
        from mlinfra_azure.settings import AzureConfig

        return AzureConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_azure.client import AzureClient

        return AzureClient(config, context)
