"""``local.data``: a value in the state. Never fails, never drifts, needs no world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Client


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"output": attributes.get("input")}


def _observed(id: str, attributes: Map) -> Observed:
    return Observed(id, Map({**attributes, "id": id, "output": attributes.get("input")}))


class Data:
    """``output`` repeats ``input``; ``id`` is the creating operation's token."""

    schema = Schema(
        attributes={
            "input": Attribute(),
            "triggers_replace": Attribute(immutable=True, source="triggers_replace"),
            "output": Attribute(computed=True),
            "id": Attribute(type="string", computed=True),
        },
        predict=_predict,
        virtual=True,
    )

    async def read(self, client: Client, recorded: ResourceState) -> Observed | None:
        return Observed(recorded.id, recorded.attributes)

    async def read_many(self, client: Client, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        return {r.id: Observed(r.id, r.attributes) for r in recorded}

    async def create(self, client: Client, desired: Desired, token: str) -> Observed:
        return _observed(token, desired.attributes)

    async def update(self, client: Client, recorded: ResourceState, desired: Desired) -> Observed:
        return _observed(recorded.id, desired.attributes)

    async def delete(self, client: Client, recorded: ResourceState) -> None:
        return None
