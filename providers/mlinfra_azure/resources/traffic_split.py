"""``azure.traffic_split``: an endpoint's traffic among deployments whose names are known only when they are made.

``azure.ml_traffic`` with lists in the place of maps: a list may refer to a deployment, a map's key cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, is_known
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources.ml_traffic import MlTraffic
from mlinfra_azure.shape import alike

_LISTS = {"split": "traffic", "mirror": "mirrorTraffic"}


class TrafficSplit:
    """``split`` and ``mirror`` are lists of ``{deployment, percent}``."""

    schema = Schema(
        attributes={
            "endpoint": Attribute(
                type="string", required=True, immutable=True, same=alike, source="the endpoint whose traffic this is"
            ),
            "split": Attribute(type="list", required=True, unordered=True),
            "mirror": Attribute(type="list", unordered=True),
            "id": Attribute(type="string", computed=True),
        },
        predict=MlTraffic.schema.predict,
        inside=("endpoint",),
        serves=True,
    )

    def __init__(self) -> None:
        self._maps = MlTraffic()

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        known = replace(recorded, attributes=_as_maps(recorded.attributes))
        return _as_lists(await self._maps.read(client, known), recorded.attributes)

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        made = await self._maps.create(client, _mapped(desired), token)
        return _listed(made, desired.attributes)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        known = replace(recorded, attributes=_as_maps(recorded.attributes))
        return _listed(await self._maps.update(client, known, _mapped(desired)), desired.attributes)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        await self._maps.delete(client, recorded)

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        return _as_lists(await self._maps.find(client, _mapped(desired), token), desired.attributes)

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        return _as_lists(await self._maps.adopt(client, id), Map())

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        if not all(is_known(attributes.get(name)) for name in _LISTS):
            return []
        return [((_back(path)), sentence) for path, sentence in self._maps.validate(_as_maps(attributes))]


def _back(path: Path) -> Path:
    return tuple(next((ours for ours, theirs in _LISTS.items() if theirs == part), part) for part in path[:1])


def _mapped(desired: Desired) -> Desired:
    return replace(desired, attributes=_as_maps(desired.attributes))


def _as_maps(attributes: Mapping[str, Value]) -> Map:
    found: dict[str, Any] = {k: v for k, v in attributes.items() if k not in _LISTS}
    for ours, theirs in _LISTS.items():
        if attributes.get(ours) is not None:
            found[theirs] = Map({str(part["deployment"]): part["percent"] for part in attributes[ours]})
    return Map(found)


def _as_lists(seen: Observed | None, wanted: Mapping[str, Value]) -> Observed | None:
    return None if seen is None else _listed(seen, wanted)


def _listed(seen: Observed, wanted: Mapping[str, Value]) -> Observed:
    """In the order in which they are wanted; what nobody asked for comes last."""
    found: dict[str, Value] = {k: v for k, v in seen.attributes.items() if k not in _LISTS.values()}
    for ours, theirs in _LISTS.items():
        shares = seen.attributes.get(theirs) or {}
        if theirs in seen.attributes or wanted.get(ours) is not None:
            order = [str(part["deployment"]) for part in wanted.get(ours) or ()]
            names = sorted(shares, key=lambda n, order=order: (order.index(n) if n in order else len(order), n))
            found[ours] = tuple(Map(deployment=name, percent=shares[name]) for name in names)
    return Observed(seen.id, Map(found))
