"""``docker.volume``: a volume of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value, freeze
from mlinfra.provider.failures import AlreadyExists, Conflict, Invalid
from mlinfra_docker import labels, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import revealed
from mlinfra_docker.naming import name_at
from mlinfra_docker.shape import shaped

_FIXED = "Docker Engine API: a local volume has no update"


def _predict(attributes: Map) -> Mapping[str, Value]:
    name = attributes.get("Name")
    known: dict[str, Value] = {} if attributes.get("Driver") else {"Driver": "local"}
    return {**known, "uri": volumes.uri(name)} if isinstance(name, str) else known


class Volume:
    """Its name is its id. ``uri`` is ``docker://NAME``, what datasets and runs name a place by; ``versioning`` says that a bucket was
    asked to keep versions (datasets always do); ``force_destroy: false`` refuses to delete it while it holds files."""

    schema = Schema(
        attributes={
            "Name": Attribute(type="string", computed=True, immutable=True, source=_FIXED),
            "Driver": Attribute(type="string", computed=True, immutable=True, source=_FIXED),
            "DriverOpts": Attribute(type="map", immutable=True, source=_FIXED),
            "Labels": Attribute(type="map", immutable=True, source=_FIXED),
            "force_destroy": Attribute(type="boolean", write_only=True),
            "versioning": Attribute(type="boolean", write_only=True),
            "uri": Attribute(type="string", computed=True),
            "Mountpoint": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
        named_by="Name",
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        seen = await client.run(client.optional, f"/volumes/{recorded.id}")
        return None if seen is None else _observed(seen, recorded.attributes)

    async def read_many(self, client: DockerClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        seen = {volume["Name"]: volume for volume in (await client.run(client.get, "/volumes"))["Volumes"] or ()}
        return {s.id: _observed(seen[s.id], s.attributes) for s in recorded if s.id in seen}

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        return await client.run(_create, client, desired, token)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        return _observed(await client.run(client.get, f"/volumes/{recorded.id}"), desired.attributes)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        found = (await client.run(lambda: client.get("/volumes", filters=labels.filters(op=token))))["Volumes"]
        return _observed(found[0], desired.attributes) if found else None

    async def adopt(self, client: DockerClient, id: str) -> Observed | None:
        seen = await client.run(client.optional, f"/volumes/{id}")
        return None if seen is None else _observed(seen, Map())

    async def stake(self, client: DockerClient, recorded: ResourceState) -> str:
        count = await client.run(_count, client, recorded.id)
        return f"{count:,} file{'s' if count != 1 else ''}" if count else ""


def _create(client: DockerClient, desired: Desired, token: str) -> Observed:
    given: dict[str, Any] = {name: revealed(v) for name, v in desired.attributes.items() if v is not None}
    name = given.get("Name") or name_at(client, desired.address)
    if client.optional(f"/volumes/{name}") is not None:  # the engine would give us that one
        raise AlreadyExists(f"a volume called {name} exists and is not ours", import_id=name, path=("Name",))
    ours = labels.own(client.project, client.environment, desired.address, token)
    body = {key: given[key] for key in ("Driver", "DriverOpts") if key in given}
    seen = client.post("/volumes/create", {**body, "Name": name, "Labels": {**given.get("Labels", {}), **ours}})
    if (seen.get("Labels") or {}).get(labels.OPERATION) != token:
        raise AlreadyExists(f"a volume called {name} exists and is not ours", import_id=name, path=("Name",))
    return _observed(seen, desired.attributes)


def _delete(client: DockerClient, recorded: ResourceState) -> None:
    if client.optional(f"/volumes/{recorded.id}") is None:
        return
    if recorded.attributes.get("force_destroy") is False and (count := _count(client, recorded.id)):
        raise Invalid(
            f"the volume {recorded.id} still holds {count:,} file{'s' if count != 1 else ''}",
            hint="set force_destroy: true and apply, or empty it yourself",
        )
    volumes.release(client, recorded.id)
    try:
        client.delete(f"/volumes/{recorded.id}")
    except Conflict as conflict:
        holders = client.get("/containers/json", all="true", filters={"volume": [recorded.id]})
        names = ", ".join(sorted(name.lstrip("/") for h in holders for name in h["Names"]))
        if not names:
            raise
        raise Invalid(f"the volume {recorded.id} is used by {names}", hint=f"docker rm -f {names}") from conflict


def _count(client: DockerClient, name: str) -> int:
    if client.optional(f"/volumes/{name}") is None:
        return 0
    return int(volumes.helper(client, name).run('find "$1" -type f | wc -l', f"{volumes.MOUNTED}/{name}"))


def _observed(seen: Mapping[str, Any], asked: Map) -> Observed:
    told: dict[str, Value] = {
        "Name": seen["Name"], "Driver": seen["Driver"], "uri": volumes.uri(seen["Name"]), "Mountpoint": seen["Mountpoint"],
    }  # fmt: skip
    for name, source in (("Labels", "Labels"), ("DriverOpts", "Options")):
        if asked.get(name) is not None:
            told[name] = shaped(asked[name], freeze(seen.get(source) or {}))
    told |= {name: asked[name] for name in ("force_destroy", "versioning") if name in asked}
    return Observed(seen["Name"], Map(told))
