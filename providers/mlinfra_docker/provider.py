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
            "docker.container": f"{_HERE}.resources.container:Container()",
            "docker.milvus": f"{_HERE}.resources.service:Milvus()",
            "docker.mlflow": f"{_HERE}.resources.service:Mlflow()",
            "docker.dataset": f"{_HERE}.resources.dataset:Dataset()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy(
        {
            kind: f"{_HERE}.lowering.{kind}:lower"
            for kind in (
                "bucket", "dataset", "vector_database",
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
