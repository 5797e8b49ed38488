"""A real Milvus standalone server, as the docker target makes it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from live.docker import images

from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider.contract import LoweringContext, ProviderContext
from mlinfra_docker.provider import DockerProvider


@contextmanager
def standalone_server(api: Any, folder: Path, properties: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Its URI; ``properties`` are those of a ``vector_database``. Gone with its data in the end."""
    settings = {"images": {"helper": images.ensure(api, images.BASE), "milvus": images.ensure(api, images.MILVUS)}, "pull": False}
    project = f"milvus-{uuid.uuid4().hex[:8]}"
    component = Component(kind="vector_database", name="vectors", target="docker", properties=Map())
    told = LoweringContext(component=component, project=project, environment="test", provider="docker", settings=freeze(settings))
    provider, kind = DockerProvider(), DockerProvider.types["docker.milvus"]
    spec = VectorDatabase.model_validate(properties or {})
    attributes = provider.lowerings["vector_database"](spec, told).resources[0].attributes
    with asyncio.Runner() as runner:
        context = ProviderContext(project=project, environment="test", base=folder, data=folder / "data")
        client = runner.run(provider.connect(provider.config.model_validate(settings), context))
        try:
            desired = Desired(address="vectors", type="docker.milvus", attributes=attributes, timeout=300)
            made = runner.run(kind.create(client, desired, uuid.uuid4().hex))
            state = ResourceState(
                address="vectors", type="docker.milvus", provider="docker", id=made.id, attributes=made.attributes
            )
            try:
                yield str(made.attributes["uri"])
            finally:
                runner.run(kind.delete(client, state))
        finally:
            runner.run(client.close())
