"""The local provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

_HERE = "mlinfra_local"


class LocalProvider:
    """Runs everything on this machine, below one data folder."""

    name = "local"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "local.data": f"{_HERE}.resources.data:Data()",
            "local.bucket": f"{_HERE}.resources.bucket:Bucket()",
            "local.dataset": f"{_HERE}.resources.dataset:Dataset()",
            "local.pipeline": f"{_HERE}.resources.pipeline:Pipeline()",
            "local.cluster": f"{_HERE}.resources.cluster:Cluster()",
            "local.job": f"{_HERE}.resources.job:Job()",
            "local.registry": f"{_HERE}.resources.registry:Registry()",
            "local.model": f"{_HERE}.resources.model:RegisteredModel()",
            "local.model_version": f"{_HERE}.resources.model_version:ModelVersion()",
            "local.model_aliases": f"{_HERE}.resources.model_aliases:ModelAliases()",
            "local.endpoint": f"{_HERE}.resources.endpoint:Endpoint()",
            "local.milvus": f"{_HERE}.resources.milvus:MilvusLite()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy(
        {
            kind: f"{_HERE}.lowering.{kind}:lower"
            for kind in (
                "data", "bucket", "dataset", "data_pipeline", "training_cluster", "training_job",
                "model_registry", "model", "endpoint", "vector_database",
            )
        }
    )  # fmt: skip
    everywhere = frozenset({"data"})
    defaults = Map(root=None)
    at_sight: Mapping[str, Callable[[Value], bool]] = {}
    max_concurrency = 64

    @property
    def config(self) -> type[Any]:
        from mlinfra_local.settings import LocalConfig

        return LocalConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_local.client import LocalClient

        return LocalClient(config, context)
