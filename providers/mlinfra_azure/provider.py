"""The Azure provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

_HERE = "mlinfra_azure"


class AzureProvider:
    """Microsoft Azure, by Azure Resource Manager."""

    name = "azure"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "azure.dataset": f"{_HERE}.resources.dataset:Dataset()",
            "azure.text_files": f"{_HERE}.resources.text_files:TextFiles()",
            "azure.training_run": f"{_HERE}.resources.training_run:TrainingRun()",
            "azure.pipeline_run": f"{_HERE}.resources.pipeline_run:PipelineRun()",
            "azure.registered_version": f"{_HERE}.resources.registered_version:RegisteredVersion()",
            "azure.traffic_split": f"{_HERE}.resources.traffic_split:TrafficSplit()",
            "azure.reachable": "mlinfra.provider.reachable:Reachable()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy(
        {
            kind: f"{_HERE}.lowering.{kind}:lower"
            for kind in (
                "bucket", "dataset", "data_pipeline", "training_cluster", "training_job", "model_registry", "model", "endpoint",
                "vector_database",
            )
        }
    )  # fmt: skip
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 64

    @property
    def config(self) -> type[Any]:
        from mlinfra_azure.settings import AzureConfig

        return AzureConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_azure.client import AzureClient

        return AzureClient(config, context)
