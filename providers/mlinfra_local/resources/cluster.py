"""``local.cluster``: a share of this host, reserved, with a Ray head on it when asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mlinfra.kinds.units import format_bytes
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, Quota
from mlinfra_local import hardware, ray_head, reservations
from mlinfra_local.client import LocalClient
from mlinfra_local.follow import follow_log

READY = "ready"
_RAY_TIMEOUT = 120.0


def _predict(attributes: Map) -> Mapping[str, Value]:
    known: dict[str, Value] = {"status": READY, "node_count": 1}
    if isinstance(attributes.get("name"), str):
        known["id"] = attributes["name"]
    if attributes.get("engine") == "managed":
        known |= {"address": "", "dashboard": ""}
    return known


class Cluster:
    """``cpus``, ``memory`` (bytes) and ``gpus`` (how many) are what jobs may use: what was reserved, or where nothing was
    asked for, what the host has (0 GPUs). ``address`` is Ray's, ``""`` without Ray."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="what its reservation is filed under"),
            "engine": Attribute(type="string", required=True),
            "resources": Attribute(type="map"),
            "nodes": Attribute(type="map"),
            "id": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True, description="ready, released or stopped"),
            "address": Attribute(type="string", computed=True),
            "dashboard": Attribute(type="string", computed=True),
            "cpus": Attribute(type="number", computed=True),
            "memory": Attribute(type="integer", computed=True),
            "gpus": Attribute(type="any", computed=True),
            "node_count": Attribute(type="integer", computed=True),
        },
        predict=_predict,
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        nodes = attributes.get("nodes", EMPTY)
        least = nodes.get("min", 1) if isinstance(nodes, Mapping) else 1
        if isinstance(least, int) and least > 1:
            return [(("nodes",), f"the local target is one node, and {least} were asked for: give the job `processes: {least}`, "
                                 "or use a target with several machines")]  # fmt: skip
        return []

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        held = await asyncio.to_thread(reservations.held, client, str(desired.attributes["name"]))
        if held is not None and held.op != token and held.holder != _holder(client, desired):
            raise AlreadyExists(f"there is a cluster {held.name} already: {held.holder}", path=("name",))
        return await asyncio.to_thread(_write, self, client, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        held = await asyncio.to_thread(reservations.held, client, recorded.id)
        return await asyncio.to_thread(_write, self, client, desired, held.op if held else "")

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(ray_head.stop, client, recorded.id)
        await asyncio.to_thread(reservations.release, client, recorded.id)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        held = await asyncio.to_thread(reservations.held, client, str(desired.attributes["name"]))
        if held is None or held.op != token:
            return None
        host = await asyncio.to_thread(hardware.host)
        return await asyncio.to_thread(_read, client, held.name, desired.attributes, host)

    def logs(self, client: LocalClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        return follow_log(ray_head.log_file(client, recorded.id), follow)


def _write(kind: Cluster, client: LocalClient, desired: Desired, op: str) -> Observed:
    wanted = desired.attributes
    for path, problem in kind.validate(wanted):
        raise Invalid(problem, path=path)
    name = str(wanted["name"])
    client.data.mkdir(parents=True, exist_ok=True)
    host = hardware.host()
    resources = wanted.get("resources", EMPTY)
    disk, free = resources.get("disk"), hardware.free_disk(client.data)
    if disk and disk > free:
        shown = f"{format_bytes(disk)} of disk were asked for, and {format_bytes(free)} are free"
        raise Quota(shown, path=("resources", "disk"), hint="free some space, or ask for less")
    before = reservations.held(client, name)
    held = reservations.reserve(client, name, _holder(client, desired), _wish(resources), host, op=op)
    try:
        if wanted["engine"] == "ray":
            ray_head.start(client, held, timeout=desired.timeout or _RAY_TIMEOUT)
        else:
            ray_head.stop(client, name)
    except Failure:
        if before is None:
            reservations.release(client, name)
        raise
    found = _read(client, name, wanted, host)
    assert found is not None
    return found


def _holder(client: LocalClient, desired: Desired) -> str:
    return f"{desired.address} of {client.project}" + (f"/{client.environment}" if client.environment else "")


def _wish(resources: Map) -> reservations.Wish:
    gpu: Mapping[str, Any] = resources.get("gpu", EMPTY)
    return reservations.Wish(
        cpus=resources.get("cpus", 0),
        memory=resources.get("memory", 0),
        accelerators=resources.get("accelerators", ""),
        gpu_memory=gpu.get("memory", ""),
        gpu_count=gpu.get("count", 1) if gpu else 0,
    )


def _read(client: LocalClient, name: str, known: Map, host: hardware.Host | None = None) -> Observed | None:
    """``host`` None: what is not reserved stays as it is in ``known``."""
    held = reservations.held(client, name)
    ray = known.get("engine") == "ray"
    head = ray_head.find(client, name) if ray else None
    if held is None and (head is None or not ray):
        return None
    here = {k: v for k, v in known.items() if k in ("resources", "nodes", "engine")}
    computed: dict[str, Value] = {
        "id": name,
        "name": name,
        "status": "released" if held is None else READY if head is not None or not ray else "stopped",
        "address": head.address if head else "",
        "dashboard": head.dashboard if head else "",
        "node_count": 1,
        "gpus": len(held.gpus) if held else known.get("gpus", 0),
        "cpus": (held.cpus if held else 0) or (host.cpus if host else known.get("cpus")),
        "memory": (held.memory if held else 0) or (host.memory if host else known.get("memory")),
    }
    return Observed(name, Map({**here, **computed}))
