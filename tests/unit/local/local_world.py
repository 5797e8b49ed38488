"""A client in a folder of its own, and the calls of a resource type as the engine makes them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlinfra.kinds import catalog
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import Lowered, LoweringContext, ProviderContext, ResourceType
from mlinfra_local.client import LocalClient
from mlinfra_local.provider import LocalProvider
from mlinfra_local.settings import LocalConfig

T = TypeVar("T")


def make_client(folder: Path, environment: str = "test") -> LocalClient:
    base = folder / "spec"
    base.mkdir(parents=True, exist_ok=True)
    data = folder / "data" / environment
    return LocalClient(LocalConfig(), ProviderContext(project="unit", environment=environment, base=base, data=data))


@dataclass
class Bench:
    """One resource of one type. ``state`` is what the engine would have recorded."""

    client: LocalClient
    type: str
    address: str = "it"
    state: ResourceState | None = None

    @property
    def kind(self) -> ResourceType:
        return LocalProvider.types[self.type]

    def desired(self, attributes: Mapping[str, Any]) -> Desired:
        return Desired(address=self.address, type=self.type, attributes=freeze(dict(attributes)))

    def create(self, token: str = "", **attributes: Any) -> Observed:
        desired = self.desired(attributes)
        return self._recorded(asyncio.run(self.kind.create(self.client, desired, token or uuid.uuid4().hex)))

    def update(self, **attributes: Any) -> Observed:
        return self._recorded(asyncio.run(self.kind.update(self.client, self.recorded, self.desired(attributes))))

    def read(self) -> Observed | None:
        return asyncio.run(self.kind.read(self.client, self.recorded))

    def delete(self) -> None:
        asyncio.run(self.kind.delete(self.client, self.recorded))

    def find(self, token: str, **attributes: Any) -> Observed | None:
        found: Observed | None = asyncio.run(self.kind.find(self.client, self.desired(attributes), token))  # type: ignore[attr-defined]
        return found

    @property
    def recorded(self) -> ResourceState:
        assert self.state is not None
        return self.state

    def _recorded(self, seen: Observed) -> Observed:
        self.state = ResourceState(address=self.address, type=self.type, provider="local", id=seen.id, attributes=seen.attributes)
        return seen


def lowered(client: LocalClient, kind: str, properties: Mapping[str, Any], name: str = "it") -> Lowered:
    """The component as the local target lowers it, with the digests that the engine would have read."""
    spec = catalog.kind(kind).model_validate(freeze(dict(properties)))
    digests = {(p.path, p.mode): files.digest(client.base, p.path, p.mode, client.excluded) for p in spec.local_paths()}
    component = Component(kind=kind, name=name, target="local", properties=Map(freeze(dict(properties))))
    context = LoweringContext(component=component, project="unit", environment="test", provider="local", digests=digests)
    return LocalProvider.lowerings[kind](spec, context)


def attributes(client: LocalClient, kind: str, properties: Mapping[str, Any], name: str = "it") -> Map:
    """The attributes of the main native resource."""
    return lowered(client, kind, properties, name).resources[0].attributes


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
