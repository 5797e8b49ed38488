"""The Milvus provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

_HERE = "mlinfra_milvus"


class MilvusProvider:
    """Serves ``collection`` on every target: the vector database is the target's, what is in it is reached by pymilvus."""

    name = "milvus"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "milvus.collection": f"{_HERE}.resources.collection:Collection()",
            "milvus.alias": f"{_HERE}.resources.alias:Alias()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy({"collection": f"{_HERE}.lowering.collection:lower"})
    everywhere = frozenset({"collection"})
    max_concurrency = 8

    @property
    def config(self) -> type[Any]:
        from mlinfra_milvus.client import MilvusConfig

        return MilvusConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_milvus.client import MilvusClients

        return MilvusClients(config, context)
