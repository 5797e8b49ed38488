"""Servers that keep their data in a volume: ``docker.milvus``, ``docker.mlflow``. One object each: a container and its volume.

The volume is what it is: a container that is gone, or is to be another one, is built again around it, in place. Only when the volume is
gone is the server gone, with all that it held.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.change import SAFE, Risk, RiskLevel
from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value
from mlinfra.provider.failures import AlreadyExists, Conflict, Failure
from mlinfra_docker import containers, labels, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import Inspect
from mlinfra_docker.milvus_users import let_in
from mlinfra_docker.resources import container

_MISSING = "missing"
_PARTS = {name: replace(a, immutable=False, source="") for name, a in container.Container.schema.attributes.items()}
_TOLD = ("Id", "ImageId", "Ports", "Urls", "Name")
_STAKE_PATIENCE = 5.0


def _predict(attributes: Map) -> Mapping[str, Value]:
    return container.Container.schema.predict(attributes) if container.Container.schema.predict else {}


class Service:
    """Its id is its ``Name``. ``Volume`` is mounted at ``Target``; ``Port`` (``19530/tcp``) is what ``uri`` leads to. The rest are
    properties of ``docker.container``; whatever of them cannot change in place builds the container again, around the same volume.
    ``Status`` is the container's, or ``missing``."""

    schema = Schema(
        attributes={
            **{name: a for name, a in _PARTS.items() if name not in ("Id", "ImageId", "Ports", "Urls", "EndpointsConfig")},
            "Name": Attribute(type="string", required=True, immutable=True, source="the container's name"),
            "Volume": Attribute(type="string", required=True, immutable=True, source="its data lies there"),
            "Target": Attribute(type="string", required=True),
            "Port": Attribute(type="string", required=True),
            "uri": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
        serves=True,
        named_by="Name",
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        await client.run(_make_volume, client, desired, token)
        try:
            seen = await containers.start(client, _plan(client, desired, token), within=_patience(desired))
        except BaseException:
            await client.run(_drop_volume, client, str(wanted["Volume"]))
            raise
        found = _observed(client, wanted, seen)
        try:
            await client.run(self.settle, wanted, str(found.attributes["uri"]))
        except Failure as failure:
            failure.partial = found
            raise
        return found

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        wanted = desired.attributes
        seen = await client.run(_ours, client, recorded.id, recorded.attributes)
        if seen is not None and _changes_in_place(recorded.attributes, wanted):
            inner = replace(recorded, id=seen["Id"])
            await client.run(container.change, client, inner, desired)
            seen = await containers.wait_ready(client, seen["Id"], within=_patience(desired))
        else:
            token = await client.run(_token, client, str(wanted["Volume"]))
            if seen is not None:
                await client.run(container.end, client, seen["Id"])
            seen = await containers.start(client, _plan(client, desired, token), within=_patience(desired))
        found = _observed(client, wanted, seen)
        await client.run(self.settle, wanted, str(found.attributes["uri"]))
        return found

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        return await client.run(_find, client, desired, token)

    async def adopt(self, client: DockerClient, id: str) -> Observed | None:
        return await client.run(_adopt, client, id)

    async def stake(self, client: DockerClient, recorded: ResourceState) -> str:
        return await client.run(self.amount, str(recorded.attributes.get("uri") or ""))

    def logs(self, client: DockerClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        return containers.log_lines(client, recorded.id, follow=follow)

    def assess(self, before: Map, after: Map) -> Risk:
        if _changes_in_place(before, after):
            return SAFE
        return Risk(RiskLevel.INTERRUPTS_SERVING, "builds its container again around its data")

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return container.Container().validate(attributes)

    def settle(self, wanted: Map, uri: str) -> None:
        """What is left to do once it answers. Blocks."""

    def amount(self, uri: str) -> str:
        """What deleting it would lose, in words; ``""`` when that cannot be told."""
        return ""


class Milvus(Service):
    """A Milvus standalone server. ``MLINFRA_TOKEN`` in its ``Env`` (``user:password``) is who may use it."""

    def settle(self, wanted: Map, uri: str) -> None:
        token = containers.revealed((wanted.get("Env") or Map()).get("MLINFRA_TOKEN"))
        if token:
            let_in(uri, str(token))

    def amount(self, uri: str) -> str:
        found = _json(f"{uri}/v1/vector/collections").get("data")
        count = len(found) if isinstance(found, list) else 0
        return f"{count:,} collection{'s' if count != 1 else ''}" if count else ""


class Mlflow(Service):
    """An MLflow tracking server with a model registry."""

    def amount(self, uri: str) -> str:
        found = _json(f"{uri}/api/2.0/mlflow/registered-models/search?max_results=1000").get("registered_models", [])
        return f"{len(found):,} model{'s' if len(found) != 1 else ''}" if found else ""


def _json(url: str) -> Mapping[str, Any]:
    if not url.startswith("http"):
        return {}
    with suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=_STAKE_PATIENCE) as answer:
        found = json.load(answer)
        return found if isinstance(found, dict) else {}
    return {}


def _patience(desired: Desired) -> float:
    return desired.timeout or 300.0


def _changes_in_place(before: Map, after: Map) -> bool:
    names = {*before, *after} - {*container.IN_PLACE, "uri"}
    return all(before.get(name) == after.get(name) for name in names if _PARTS.get(name, Attribute()).computed is False)


def _plan(client: DockerClient, desired: Desired, token: str) -> containers.Plan:
    wanted = desired.attributes
    mounts = (*(wanted.get("Mounts") or ()), Map(volumes.mount(wanted["Volume"], wanted["Target"])))
    inner = {name: value for name, value in wanted.items() if name in _PARTS}
    return container.plan(client, replace(desired, attributes=Map({**inner, "Mounts": mounts})), token)


def _make_volume(client: DockerClient, desired: Desired, token: str) -> None:
    name = str(desired.attributes["Volume"])
    seen = client.optional(f"/volumes/{name}")
    if seen is None:
        ours = labels.own(client.project, client.environment, desired.address, token)
        seen = client.post("/volumes/create", {"Name": name, "Labels": ours})
    if (seen.get("Labels") or {}).get(labels.OPERATION) != token:
        raise AlreadyExists(
            f"a volume called {name} exists and is not ours",
            import_id=str(desired.attributes["Name"]),
            path=("Volume",),
            hint=f"if nobody needs it: docker volume rm {name}",
        )


def _drop_volume(client: DockerClient, name: str) -> None:
    volumes.release(client, name)
    with suppress(Conflict):
        client.delete(f"/volumes/{name}")


def _token(client: DockerClient, volume: str) -> str:
    """The operation that made the server: its next container belongs to that one too."""
    found = client.get(f"/volumes/{volume}")
    return str((found.get("Labels") or {}).get(labels.OPERATION, ""))


def _ours(client: DockerClient, name: str, attributes: Map) -> Inspect | None:
    """Its container: the one of its name that has its volume."""
    seen: Inspect | None = client.optional(f"/containers/{name}/json")
    return seen if seen is not None and any(m.get("Name") == attributes["Volume"] for m in seen["Mounts"]) else None


def _read(client: DockerClient, id: str, known: Map) -> Observed | None:
    if client.optional(f"/volumes/{known['Volume']}") is None:
        return None
    return _observed(client, known, _ours(client, id, known))


def _observed(client: DockerClient, asked: Map, seen: Inspect | None) -> Observed:
    own = {name: asked[name] for name in ("Name", "Volume", "Target", "Port")}
    if seen is None:
        told: Mapping[str, Value] = {**asked, "Status": _MISSING, "uri": asked.get("uri", "")}
        held = {name: told.get(name, value) for name, value in container.HELD.items()}
        return Observed(str(asked["Name"]), Map({**told, **held, **own}))
    inner = {name: value for name, value in asked.items() if name in _PARTS}
    mine = {**seen, "HostConfig": {**seen["HostConfig"], "Mounts": _others(seen, str(asked["Volume"]))}}
    parts = container.observed(client, mine, Map(inner)).attributes
    told = {name: value for name, value in parts.items() if name not in _TOLD}
    return Observed(str(asked["Name"]), Map({**told, **own, "uri": parts["Urls"].get(asked["Port"], "")}))


def _others(seen: Inspect, volume: str) -> list[Any]:
    return [m for m in seen["HostConfig"].get("Mounts") or [] if m.get("Source") != volume]


def _delete(client: DockerClient, recorded: ResourceState) -> None:
    seen = _ours(client, recorded.id, recorded.attributes)
    if seen is not None:  # at once: what it would still write goes with it
        containers.remove(client, seen["Id"])
    volume = str(recorded.attributes["Volume"])
    volumes.release(client, volume)
    client.delete(f"/volumes/{volume}")


def _find(client: DockerClient, desired: Desired, token: str) -> Observed | None:
    for seen in containers.made_by(client, token):
        if seen["State"]["Status"] == "created":
            containers.remove(client, seen["Id"])
    found = client.get("/volumes", filters=labels.filters(op=token))["Volumes"]
    return _read(client, str(desired.attributes["Name"]), desired.attributes) if found else None


def _adopt(client: DockerClient, id: str) -> Observed | None:
    """A container with a volume and a published port is taken for the server."""
    seen: Inspect | None = client.optional(f"/containers/{id}/json")
    held = next((m for m in (seen or {}).get("Mounts", ()) if m["Type"] == "volume"), None)
    ports = containers.published(seen) if seen is not None else {}
    if seen is None or held is None or not ports:
        return None
    asked = Map(
        Name=seen["Name"].lstrip("/"), Volume=held["Name"], Target=held["Destination"], Port=next(iter(ports)), Image=None
    )
    return _observed(client, asked, seen)
