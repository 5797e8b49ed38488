"""The docker provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

_HERE = "mlinfra_docker"


class DockerProvider:
    """Runs everything in containers of one Docker Engine."""

    name = "docker"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "docker.network": f"{_HERE}.resources.network:Network()",
            "docker.volume": f"{_HERE}.resources.volume:Volume()",
            "docker.image": f"{_HERE}.resources.image:Image()",
            "docker.container": f"{_HERE}.resources.container:Container()",
            "docker.milvus": f"{_HERE}.resources.service:Milvus()",
            "docker.mlflow": f"{_HERE}.resources.service:Mlflow()",
            "docker.model": f"{_HERE}.resources.models:RegisteredModel()",
            "docker.model_version": f"{_HERE}.resources.models:ModelVersion()",
            "docker.model_aliases": f"{_HERE}.resources.models:ModelAliases()",
            "docker.dataset": f"{_HERE}.resources.dataset:Dataset()",
            "docker.job": f"{_HERE}.resources.job:Job()",
            "docker.pipeline": f"{_HERE}.resources.pipeline:Pipeline()",
            "docker.hardware": f"{_HERE}.resources.hardware:Hardware()",
            "docker.ray": f"{_HERE}.resources.ray:RayCluster()",
            "docker.endpoint": f"{_HERE}.resources.endpoint:Endpoint()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy(
        {
            kind: f"{_HERE}.lowering.{kind}:lower"
            for kind in (
                "bucket", "dataset", "image", "vector_database", "model_registry", "model",
                "training_job", "training_cluster", "data_pipeline", "endpoint",
            )
        }
    )  # fmt: skip
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 16

    @property
    def config(self) -> type[Any]:
        from mlinfra_docker.settings import DockerSettings

        return DockerSettings

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_docker.client import DockerClient

        client = DockerClient(config, context)
        await client.open()
        return client
