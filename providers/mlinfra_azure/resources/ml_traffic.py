"""``azure.ml_traffic``: what share of an endpoint's requests each deployment gets, and which are mirrored.

https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze
from mlinfra.provider import ownership
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra_azure.client import AzureClient
from mlinfra_azure.contracts import contract, version_of
from mlinfra_azure.engine.bodied import prune
from mlinfra_azure.shape import alike

_ARM = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
_MARK = f"{ownership.PREFIX}traffic-op"
_MOST_MIRRORED = 50
"""Per cent. https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online#mirrored-traffic"""


class MlTraffic:
    """``traffic`` adds up to 100 per cent, or to 0; ``mirrorTraffic`` names one deployment that gets no traffic. Both change in place, in
    one call, so that no request meets an endpoint in between. ``id`` is the endpoint's with ``/traffic`` behind it."""

    schema = Schema(
        attributes={
            "endpoint": Attribute(
                type="string", required=True, immutable=True, same=alike, source="the endpoint whose traffic this is"
            ),
            "traffic": Attribute(type="map", required=True, description="deployment → per cent"),
            "mirrorTraffic": Attribute(type="map", description="deployment → per cent of the requests that it gets a copy of"),
            "id": Attribute(type="string", computed=True),
        },
        predict=lambda a: {"id": f"{a['endpoint']}/traffic"} if isinstance(a.get("endpoint"), str) else {},
        inside=("endpoint",),
        serves=True,
    )

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        live = await self._live(client, recorded.id.removesuffix("/traffic"))
        return None if live is None else _seen(recorded.id, live, recorded.attributes)

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        endpoint = str(desired.attributes["endpoint"])
        live = await client.get(endpoint, version_of(_ARM))
        if live is None:
            raise NotFound(f"the endpoint {endpoint} is not there")
        held = _token(live)
        if held != token and (held or _split(live)):
            raise AlreadyExists(f"{endpoint} has traffic already: {dict(_split(live))}", import_id=f"{endpoint}/traffic")
        live = await self._write(client, endpoint, live, desired.attributes, token)
        return _seen(f"{endpoint}/traffic", live, desired.attributes)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        endpoint = recorded.id.removesuffix("/traffic")
        live = await client.get(endpoint, version_of(_ARM))
        if live is None:
            raise NotFound(f"the endpoint {endpoint} is gone")
        live = await self._write(client, endpoint, live, desired.attributes, _token(live) or "imported")
        return _seen(recorded.id, live, desired.attributes)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        endpoint = recorded.id.removesuffix("/traffic")
        live = await client.get(endpoint, version_of(_ARM))
        if live is not None and (_split(live) or _token(live)):
            await self._write(client, endpoint, live, Map(traffic=EMPTY), "")

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        endpoint = str(desired.attributes["endpoint"])
        live = await client.get(endpoint, version_of(_ARM))
        return None if live is None or _token(live) != token else _seen(f"{endpoint}/traffic", live, desired.attributes)

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        if not id.endswith("/traffic") or "/onlineEndpoints/" not in id:
            raise Invalid(f"{id!r} is no traffic of an endpoint; write …/onlineEndpoints/NAME/traffic")
        live = await self._live(client, id.removesuffix("/traffic"))
        return None if live is None else _seen(id, live, EMPTY)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        traffic, mirrored = attributes.get("traffic"), attributes.get("mirrorTraffic")
        found: list[tuple[Path, str]] = []
        for name, shares in (("traffic", traffic), ("mirrorTraffic", mirrored)):
            for deployment, share in shares.items() if isinstance(shares, Mapping) else ():
                whole = isinstance(share, int) and not isinstance(share, bool)
                if isinstance(share, (str, float, bool)) or (whole and not 0 <= share <= 100):
                    found.append(((name, deployment), f"{share!r} is no share: a whole number of per cent, 0 to 100"))
        shares = traffic if isinstance(traffic, Mapping) and not found else {}
        if all(isinstance(v, int) for v in shares.values()) and sum(shares.values()) not in (0, 100):
            found.append((("traffic",), f"the shares add up to {sum(shares.values())}; Azure takes 100, or 0"))
        if isinstance(mirrored, Mapping) and not found:
            found.extend(_problems_of_mirrors(mirrored, traffic))
        return found

    async def _live(self, client: AzureClient, endpoint: str) -> dict[str, Any] | None:
        """The endpoint, where it has traffic or our mark."""
        live = await client.get(endpoint, version_of(_ARM))
        return live if live is not None and (_split(live) or _token(live)) else None

    async def _write(
        self, client: AzureClient, endpoint: str, live: dict[str, Any], wanted: Mapping[str, Value], token: str
    ) -> dict[str, Any]:
        """The whole endpoint again, with these shares. The mark goes along in the same call."""
        known = contract(_ARM)
        assert known is not None
        body = prune(known, live)
        body["properties"] = {**body.get("properties", {}), "traffic": dict(wanted.get("traffic") or {}),
                              "mirrorTraffic": dict(wanted.get("mirrorTraffic") or {})}  # fmt: skip
        tags = {k: v for k, v in (body.get("tags") or {}).items() if k != _MARK}
        body["tags"] = {**tags, **({_MARK: token} if token else {})}
        what = f"moving the traffic of {endpoint.rpartition('/')[2]}"
        return await client.put(endpoint, version_of(_ARM), body, what=what)


def _split(live: Mapping[str, Any]) -> Mapping[str, int]:
    return {k: v for k, v in ((live.get("properties") or {}).get("traffic") or {}).items() if v}


def _token(live: Mapping[str, Any]) -> str:
    return str((live.get("tags") or {}).get(_MARK, ""))


def _seen(identity: str, live: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
    inner = live.get("properties") or {}
    endpoint = wanted.get("endpoint") or identity.removesuffix("/traffic")
    out: dict[str, Value] = {"id": identity, "endpoint": endpoint}
    for name in ("traffic", "mirrorTraffic"):
        shares, asked = dict(inner.get(name) or {}), wanted.get(name)
        given = asked if isinstance(asked, Mapping) else {}
        shares = {k: v for k, v in shares.items() if v or k in given} | {
            k: 0 for k, v in given.items() if v == 0 and k not in shares
        }
        if name == "traffic" or asked is not None or shares:
            out[name] = freeze(shares)
    return Observed(identity, Map(out))


def _problems_of_mirrors(mirrored: Mapping[str, Value], traffic: Value) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    if len(mirrored) > 1:
        found.append((("mirrorTraffic",), "Azure mirrors to one deployment alone"))
    for name, share in mirrored.items():
        if isinstance(share, int) and share > _MOST_MIRRORED:
            found.append((("mirrorTraffic", name), f"Azure mirrors at most {_MOST_MIRRORED} per cent"))
        if isinstance(traffic, Mapping) and traffic.get(name):
            found.append((("mirrorTraffic", name), f"{name!r} gets traffic: Azure mirrors to a deployment that gets none"))
    return found
