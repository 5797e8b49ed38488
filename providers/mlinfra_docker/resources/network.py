"""``docker.network``: a network of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema, TypeName
from mlinfra.model.values import Map, Value, freeze
from mlinfra.provider.failures import AlreadyExists, Conflict, Invalid
from mlinfra_docker import labels
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import revealed
from mlinfra_docker.naming import name_at
from mlinfra_docker.shape import shaped

_FIXED = "Docker Engine API: a network has no update"
_ASKED: Mapping[str, TypeName] = {
    "Driver": "string", "Internal": "boolean", "Attachable": "boolean", "Ingress": "boolean", "EnableIPv6": "boolean",
    "IPAM": "map", "Options": "map", "Labels": "map",
}  # fmt: skip


class Network:
    """``IPAM`` is ``{Driver, Config: [{Subnet, Gateway, IPRange}]}``. The id is the engine's; ``Name`` is what containers name."""

    schema = Schema(
        attributes={
            "Name": Attribute(type="string", computed=True, immutable=True, source=_FIXED),
            **{name: Attribute(type=type, immutable=True, source=_FIXED) for name, type in _ASKED.items()},
            "Id": Attribute(type="string", computed=True),
            "Subnet": Attribute(type="string", computed=True),
            "Gateway": Attribute(type="string", computed=True),
        },
        named_by="Name",
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        seen = await client.run(client.optional, f"/networks/{recorded.id}")
        return None if seen is None else _observed(seen, recorded.attributes)

    async def read_many(self, client: DockerClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        seen = {network["Id"]: network for network in await client.run(client.get, "/networks")}
        return {s.id: _observed(seen[s.id], s.attributes) for s in recorded if s.id in seen}

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        return await client.run(_create, client, desired, token)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        raise Invalid("a network cannot be changed in place")

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded.id)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        found = await client.run(lambda: client.get("/networks", filters=labels.filters(op=token)))
        return _observed(found[0], desired.attributes) if found else None

    async def adopt(self, client: DockerClient, id: str) -> Observed | None:
        seen = await client.run(client.optional, f"/networks/{id}")
        return None if seen is None else _observed(seen, Map(Driver=None))


def _create(client: DockerClient, desired: Desired, token: str) -> Observed:
    given: dict[str, Any] = {name: revealed(v) for name, v in desired.attributes.items() if v is not None}
    name = given.get("Name") or name_at(client, desired.address)
    ours = labels.own(client.project, client.environment, desired.address, token)
    body = {**given, "Name": name, "CheckDuplicate": True, "Labels": {**given.get("Labels", {}), **ours}}
    taken = client.optional(f"/networks/{name}")
    try:
        if taken is not None:
            raise Conflict("")
        made = client.post("/networks/create", body)
    except Conflict as conflict:
        raise AlreadyExists(f"a network called {name} exists and is not ours", import_id=name, path=("Name",)) from conflict
    return _observed(client.get(f"/networks/{made['Id']}"), desired.attributes)


def _delete(client: DockerClient, id: str) -> None:
    """What others have put on it is taken off: a container of theirs stays, without the network that goes."""
    seen = client.optional(f"/networks/{id}")
    if seen is not None:
        for container in seen.get("Containers") or {}:
            client.post(f"/networks/{id}/disconnect", {"Container": container, "Force": True})
        client.delete(f"/networks/{id}")


def _observed(seen: Mapping[str, Any], asked: Map) -> Observed:
    told: dict[str, Value] = {name: shaped(asked[name], freeze(seen.get(name))) for name in asked if name in _ASKED}
    first: Mapping[str, Any] = next(iter((seen.get("IPAM") or {}).get("Config") or []), {})
    told |= {
        "Name": seen["Name"], "Id": seen["Id"], "Subnet": first.get("Subnet", ""), "Gateway": first.get("Gateway", ""),
    }  # fmt: skip
    return Observed(seen["Id"], Map({name: value for name, value in told.items() if value is not None}))
