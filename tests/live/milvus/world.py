"""A collection driven through its native types as the engine would."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlinfra.kinds.collection import Collection as CollectionKind
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, Observed, Resource, ResourceState
from mlinfra.model.values import Map, Ref, Secret, freeze, transform
from mlinfra.provider.calls import call
from mlinfra.provider.contract import LoweringContext, ProviderContext
from mlinfra.provider.limiter import Limiter
from mlinfra.provider.progress import listening
from mlinfra_local import services
from mlinfra_milvus.client import MilvusClients, MilvusConfig
from mlinfra_milvus.lowering.collection import lower
from mlinfra_milvus.resources.alias import Alias
from mlinfra_milvus.resources.collection import Collection

TYPES: Mapping[str, Any] = {"milvus.collection": Collection(), "milvus.alias": Alias()}


@contextmanager
def lite_server(folder: Path) -> Iterator[str]:
    """The URI of a Milvus Lite server that keeps its data in ``folder``: the process that ``local.milvus`` runs."""
    command = (
        sys.executable, "-m", "mlinfra_local.milvus_server",
        "--data-dir", str(folder / "data"), "--host", services.HOST, "--port", "{port}",
    )  # fmt: skip
    spec = services.ServiceSpec(name="Lite", command=command, any_port=True, health=services.answers_tcp())
    service = services.start(folder, spec)
    try:
        yield f"http://{services.HOST}:{service.port}"
    finally:
        services.stop(folder)


def clients(folder: Path) -> MilvusClients:
    return MilvusClients(MilvusConfig(), ProviderContext(project="p", environment="test", base=folder, data=folder))


def unique(base: str = "c") -> str:
    """A name that no other test of the shared server has."""
    return f"{base}_{uuid.uuid4().hex[:10]}"


def spec(dim: int = 4, **more: Any) -> dict[str, Any]:
    """An id, a text and a vector, with an HNSW index."""
    return {
        "fields": {
            "id": {"type": "int64", "primary": True},
            "text": {"type": "varchar", "max_length": 64},
            "embedding": {"type": "float_vector", "dim": dim},
        },
        "indexes": {"embedding": {"type": "HNSW", "metric": "COSINE", "params": {"M": 8, "efConstruction": 64}}},
        **more,
    }


def lowered(
    uri: str, properties: Mapping[str, Any], *, engine: str = "milvus-lite", token: str | None = None
) -> tuple[Resource, ...]:
    """The native resources of the collection ``tickets`` in the database at ``uri``."""
    database = Map(kind="vector_database", uri=uri, engine=engine, database="default", token=token and Secret(token))
    component = Component(kind="collection", name="tickets", target="local", properties=freeze(properties))
    kind = CollectionKind.model_validate({"database": database, **freeze(properties)})
    return lower(kind, LoweringContext(component=component, project="p", environment="test", provider="local")).resources


@dataclass
class World:
    """What is recorded, by address; :meth:`apply` does what the engine's steps would."""

    uri: str
    client: MilvusClients
    engine: str = "milvus-lite"
    recorded: dict[str, ResourceState] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    token: str | None = None

    def desired(self, resource: Resource, done: Mapping[str, Map]) -> Desired:
        def value(leaf: Any) -> Any:
            return done[leaf.address][leaf.path[0]] if isinstance(leaf, Ref) else leaf

        return Desired(address=resource.address, type=resource.type, attributes=transform(resource.attributes, value))

    def record(self, resource: Resource, observed: Observed) -> ResourceState:
        state = ResourceState(
            address=resource.address, type=resource.type, provider="milvus", id=observed.id, attributes=observed.attributes
        )
        self.recorded[resource.address] = state
        return state

    async def call(self, act: Callable[[], Awaitable[Observed]]) -> Observed:
        """One call as the engine makes it, tried again where that can help: Lite answers a load with a read error while it is
        still writing the index file."""
        return await call(act, Limiter(1), provider="milvus")

    def apply(self, properties: Mapping[str, Any]) -> None:
        """Create what is new, change in place what can be, replace beside what must be, move the alias, drop the old ones."""
        with listening(self.said.append):
            asyncio.run(self._apply(lowered(self.uri, properties, engine=self.engine, token=self.token)))

    async def _apply(self, resources: tuple[Resource, ...]) -> None:
        done: dict[str, Map] = {}
        deposed: list[ResourceState] = []
        for resource in resources:
            type_, desired, old = TYPES[resource.type], self.desired(resource, done), self.recorded.get(resource.address)
            token = uuid.uuid4().hex
            if old is None:
                act = partial(type_.create, self.client, desired, token)
            elif any(
                a.immutable and old.attributes.get(n) != desired.attributes.get(n) for n, a in type_.schema.attributes.items()
            ):
                if resource.lifecycle.create_first is False:
                    await type_.delete(self.client, old)
                    act = partial(type_.create, self.client, desired, token)
                else:
                    act = partial(type_.succeed, self.client, old, desired, token)
                    deposed.append(old)
            else:
                act = partial(type_.update, self.client, old, desired)
            observed = await self.call(act)
            for name, given in desired.attributes.items():
                if name == "token":
                    continue
                assert observed.attributes.get(name) == given, f"{resource.address}.{name} came back different"
            done[resource.address] = self.record(resource, observed).attributes
        for old in deposed:
            await TYPES[old.type].delete(self.client, old)

    def read(self, address: str = "tickets") -> Observed | None:
        state = self.recorded[address]
        return asyncio.run(TYPES[state.type].read(self.client, state))

    def destroy(self) -> None:
        for address in reversed(self.recorded):
            state = self.recorded[address]
            asyncio.run(TYPES[state.type].delete(self.client, state))
        self.recorded.clear()

    @property
    def name(self) -> str:
        """The physical name of the collection."""
        return str(self.recorded["tickets"].attributes["name"])


def rows(count: int, dim: int = 4) -> list[dict[str, Any]]:
    return [{"id": i, "text": f"row {i}", "embedding": [1.0, i / count, *([0.5] * (dim - 2))]} for i in range(count)]
