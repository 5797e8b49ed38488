"""``docker.ray``: a Ray cluster of containers, one head and any number of workers, which grows and shrinks in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.failures import AlreadyExists, Conflict, Failure, Invalid
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra.provider.runs.ray_api import DASHBOARD, alive_nodes
from mlinfra_docker import containers, labels, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import Inspect, Plan
from mlinfra_docker.resources.hardware import check
from mlinfra_docker.runs.body import Limits
from mlinfra_docker.runs.ray_shared import SHARED, shared_volume
from mlinfra_docker.volumes import mount

_CLUSTER = "mlinfra:cluster"
_NODE = "mlinfra:node"
_GCS = 6379
_CLIENT = 10001
_START = 180.0
_SLOW = "timed out during startup"
_STARTED_WITH = "Ray: a node says how much it has when it starts"


def _predict(attributes: Map) -> Mapping[str, Value]:
    limits = attributes.get("limits", EMPTY)
    if not isinstance(limits, Mapping):
        return {"status": "ready"}
    return {"status": "ready", **{k: limits.get(k, 0) for k in ("cpus", "memory", "gpus")}}


class RayCluster:
    """``nodes`` counts the head too. ``address`` is for ``ray.init``, ``dashboard`` for jobs and people; ``cpus``, ``memory`` (bytes) and
    ``gpus`` are what one node has, 0 for no limit. ``status`` is ``ready`` or ``stopped`` (a node is gone, or does not run)."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the name of its containers"),
            "image": Attribute(type="string", required=True, immutable=True, source="a container's image is fixed"),
            "limits": Attribute(type="map", immutable=True, source=_STARTED_WITH),
            "nodes": Attribute(type="integer", required=True),
            "address": Attribute(type="string", computed=True),
            "dashboard": Attribute(type="string", computed=True),
            "cpus": Attribute(type="number", computed=True),
            "memory": Attribute(type="integer", computed=True),
            "gpus": Attribute(type="integer", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        name = str(desired.attributes["name"])
        if await client.run(_nodes, client, name):
            raise AlreadyExists(f"there are containers of a Ray cluster {name} already", path=("name",))
        try:
            return await _make_so(client, desired, token)
        except BaseException:
            await asyncio.shield(client.run(_delete, client, name))
            raise

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        there = await client.run(_nodes, client, recorded.id)
        op = next((seen["Config"]["Labels"].get(labels.OPERATION, "") for seen in there.values()), "")
        return await _make_so(client, desired, op)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded.id)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        name = str(desired.attributes["name"])
        there = await client.run(_nodes, client, name)
        if not any(seen["Config"]["Labels"].get(labels.OPERATION) == token for seen in there.values()):
            return None
        return await client.run(_read, client, name, desired.attributes)

    async def logs(self, client: DockerClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        head = (await client.run(_nodes, client, recorded.id)).get(0)
        if head is not None:
            async for line in containers.log_lines(client, head["Id"], follow=follow):
                yield line


def _nodes(client: DockerClient, name: str) -> dict[int, Inspect]:
    """The cluster's containers by number; 0 is the head."""
    wanted = [f"{_CLUSTER}={name}", *labels.filters(project=client.project, env=client.environment)["label"]]
    listed = client.get("/containers/json", all="true", filters={"label": wanted})
    seen = ((int(c["Labels"][_NODE]), client.optional(f"/containers/{c['Id']}/json")) for c in listed)
    return {number: inspect for number, inspect in sorted(seen, key=lambda s: s[0]) if inspect is not None}


def _read(client: DockerClient, name: str, known: Map) -> Observed | None:
    there = _nodes(client, name)
    if not there:
        return None
    running = [number for number, seen in there.items() if containers.status(seen) == "running"]
    ports = containers.published(there[0]) if 0 in there else {}
    wanted = known.get("nodes", len(there))
    complete = len(running) == len(there) and running == list(range(len(running))) and 0 in there
    computed: dict[str, Value] = {
        **_predict(known),
        "name": name,
        "nodes": len(running) if complete else wanted,
        "status": "ready" if complete else "stopped",
        "address": f"ray://{client.reach}:{ports[f'{_CLIENT}/tcp']}" if f"{_CLIENT}/tcp" in ports else "",
        "dashboard": f"http://{client.reach}:{ports[f'{DASHBOARD}/tcp']}" if f"{DASHBOARD}/tcp" in ports else "",
    }
    return Observed(name, Map({**known, **computed}))


async def _make_so(client: DockerClient, desired: Desired, op: str) -> Observed:
    wanted = desired.attributes
    name, count = str(wanted["name"]), int(wanted["nodes"])
    limits = wanted.get("limits", EMPTY)
    check(client, limits, "limits", times=count)
    marks = {**labels.own(client.project, client.environment, desired.address, op), _CLUSTER: name}
    within = desired.timeout or _START
    await client.run(_make_shared, client, name, marks)
    there = await client.run(_nodes, client, name)
    dead = [number for number, seen in there.items() if number >= count or containers.status(seen) != "running"]
    if 0 in dead or 0 not in there:
        dead = list(there)  # workers of a head that is gone never find another
    for number in sorted(dead, reverse=True):
        node = there.pop(number)
        if number >= count and containers.status(node) == "running":
            say(f"{node['Name'].lstrip('/')} leaves")
            await client.run(containers.stop, client, node["Id"])  # so that Ray hears of it from the node itself
        await client.run(containers.remove, client, node["Id"])
    size = Limits(int(limits.get("memory") or 0), float(limits.get("cpus") or 0), int(limits.get("gpus") or 0))
    plans = {n: _plan(client, name, n, str(wanted["image"]), size, marks) for n in range(count) if n not in there}
    if 0 in plans:
        say("starting the head")
        await containers.start(client, plans.pop(0), within=within)
    if plans:
        say(f"starting {len(plans)} worker{'s' if len(plans) > 1 else ''}")
        try:
            async with asyncio.TaskGroup() as group:
                for plan in plans.values():
                    group.create_task(containers.start(client, plan, within=within))
        except* Failure as failures:
            raise failures.exceptions[0] from None
    observed = await client.run(_read, client, name, wanted)
    assert observed is not None
    await _until_alive(client, observed, count, within)
    return observed


async def _until_alive(client: DockerClient, observed: Observed, count: int, within: float) -> None:
    """Wait until Ray itself counts just as many nodes. Invalid, with its last lines, when a node ends meanwhile.

    Ray gives a node half a minute to start, and ends it when the machine was too busy: such a one is started again."""
    dashboard, found, tries = str(observed.attributes["dashboard"]), 0, 3 * count
    try:
        async with asyncio.timeout(within):
            while (found := await asyncio.to_thread(alive_nodes, dashboard)) != count:
                for seen in (await client.run(_nodes, client, observed.id)).values():
                    if containers.status(seen) != "running":
                        tail = await client.run(containers.tail_text, client, seen["Id"])
                        if _SLOW in tail and tries:
                            tries -= 1
                            say(f"{seen['Name'].lstrip('/')} was slow to start: once more")
                            await client.run(client.post, f"/containers/{seen['Id']}/start")
                            continue
                        raise Invalid(f"{seen['Name'].lstrip('/')} ended right after its start{tail}")
                async with waiting():
                    await asyncio.sleep(0.5)
    except TimeoutError:
        raise Invalid(
            f"after {within:g} s Ray counts {found} of {count} nodes", hint="mlinfra logs shows what the head says"
        ) from None


def _plan(client: DockerClient, name: str, number: int, image: str, limits: Limits, marks: Mapping[str, str]) -> Plan:
    start = ["python", "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
    if limits.cpus:
        start.append(f"--num-cpus={max(1, int(limits.cpus))}")
    if limits.memory:
        start += [f"--memory={limits.memory}", f"--object-store-memory={max(80_000_000, int(limits.memory * 0.2))}"]
    start.append(f"--num-gpus={limits.gpus}")
    head = f"{name}-head"
    host: dict[str, Any] = {
        "NetworkMode": client.network,
        "Init": True,
        "ShmSize": max(256_000_000, int(limits.memory * 0.3)),
        "Mounts": [mount(shared_volume(name), SHARED)],
        **limits.host_config(client),
    }
    body: dict[str, Any] = {"Image": image, "Env": [f"RAY_DASHBOARD_STARTUP_TIMEOUT_S={int(_START)}"]}
    if number == 0:
        start += ["--head", f"--port={_GCS}", f"--ray-client-server-port={_CLIENT}", "--include-dashboard=true",
                  "--dashboard-host=0.0.0.0", f"--dashboard-port={DASHBOARD}"]  # fmt: skip
        host["PortBindings"] = {f"{DASHBOARD}/tcp": [{}], f"{_CLIENT}/tcp": [{}]}
        second = 1_000_000_000
        ask = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{DASHBOARD}/api/version', timeout=5)"
        body["Healthcheck"] = {"Test": ["CMD", "python", "-c", ask], "Interval": 3 * second, "Timeout": 15 * second,
                               "Retries": 10, "StartPeriod": 150 * second}  # fmt: skip
    else:
        start.append(f"--address={head}:{_GCS}")
    body |= {
        "Entrypoint": start[:1],
        "Cmd": start[1:],
        "User": "0:0",  # all nodes write to the shared volume
        "Labels": {**marks, _NODE: str(number)},
        "HostConfig": host,
    }
    return Plan(name=head if number == 0 else f"{name}-worker-{number}", body=body)


def _make_shared(client: DockerClient, name: str, marks: Mapping[str, str]) -> None:
    """The volume that all nodes see: jobs' code, inputs and outputs."""
    volume = shared_volume(name)
    if client.optional(f"/volumes/{volume}") is None:
        with suppress(Conflict):
            client.post("/volumes/create", {"Name": volume, "Labels": dict(marks)})


def _delete(client: DockerClient, name: str) -> None:
    for _, seen in sorted(_nodes(client, name).items(), reverse=True):
        containers.remove(client, seen["Id"])
    volume = shared_volume(name)
    found = client.optional(f"/volumes/{volume}")
    if found is not None and (found.get("Labels") or {}).get(_CLUSTER) == name:
        volumes.release(client, volume)
        client.delete(f"/volumes/{volume}")
