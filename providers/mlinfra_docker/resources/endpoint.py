"""``docker.endpoint``: the model containers of an endpoint, and the proxy in front of them.

What is new rolls in beside what serves: its containers come up, the proxy takes them over, and what nobody asks any more is
removed. The proxy's configuration says what is served; labels say which container is whose.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Value, freeze, thaw
from mlinfra.model.values import Path as AttributePath
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid
from mlinfra.provider.naming import physical_name
from mlinfra.provider.progress import prefixed, say
from mlinfra_docker import containers, labels
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import Inspect, Plan
from mlinfra_docker.resources.hardware import check
from mlinfra_docker.runs import environment
from mlinfra_docker.runs.body import Limits
from mlinfra_docker.serving import models, proxy, proxy_config
from mlinfra_docker.serving.models import Served
from mlinfra_docker.serving.proxy_config import Routing, Server

_ENDPOINT = "mlinfra:endpoint"
_ROLE = "mlinfra:role"
_VARIANT = "mlinfra:variant"
_CONTENT = "mlinfra:content"
_PROXY = "proxy"
_MODEL = "model"
_RECORDED = ("variants", "sticky", "health", "replicas", "resources", "port", "image", "proxy")
_TIMEOUT = 60.0


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": "running"}


class Endpoint:
    """``variants`` maps a name to ``{model: {uri, digest}, traffic, shadow}``, or ``{image, …}``. ``image`` is what models' own
    requirements are installed on, ``proxy`` HAProxy's. ``resources`` limit every model container; ``replicas.min`` of them serve a
    variant (an engine scales nothing by itself).

    ``status`` is ``running``, ``degraded`` (a model container does not run), ``stopped`` (the proxy does not), ``stale`` (it serves
    something else than was written) or ``untidy`` (containers are left that nobody asks)."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the name of its containers"),
            "image": Attribute(type="string", required=True),
            "proxy": Attribute(type="string", required=True),
            "variants": Attribute(type="map", required=True),
            "sticky": Attribute(type="string"),
            "health": Attribute(type="map"),
            "replicas": Attribute(type="map"),
            "resources": Attribute(type="map"),
            "port": Attribute(type="integer"),
            "env": Attribute(type="map", write_only=True),
            "url": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        serves=True,
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        name = str(desired.attributes["name"])
        if await client.run(_containers, client, name):
            raise AlreadyExists(f"there are containers of an endpoint {name} already, which are not this one's", path=("name",))
        try:
            return await _make_so(client, desired, token)
        except BaseException:
            await asyncio.shield(client.run(_delete, client, name))
            raise

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await _make_so(client, desired, None)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded.id)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        return await client.run(_find, client, desired, token)

    def validate(self, attributes: Map) -> Sequence[tuple[AttributePath, str]]:
        resources = attributes.get("resources", EMPTY)
        memory = resources.get("memory") if isinstance(resources, Mapping) else None
        if isinstance(memory, int) and memory < 6 * 2**20:
            return [(("resources", "memory"), "the engine gives a container 6 MB at least")]
        return []

    async def logs(self, client: DockerClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        found = await client.run(_containers, client, recorded.id)
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        async def one(seen: Inspect) -> None:
            name = seen["Config"]["Labels"].get(_VARIANT) or _PROXY
            async for line in containers.log_lines(client, seen["Id"], follow=follow):
                await queue.put(f"{name}: {line}")
            await queue.put(None)

        tasks = [asyncio.create_task(one(seen)) for seen in found]
        try:
            left = len(tasks)
            while left:
                line = await queue.get()
                if line is None:
                    left -= 1
                else:
                    yield line
        finally:
            for task in tasks:
                task.cancel()


# what there is


def _containers(client: DockerClient, name: str) -> list[Inspect]:
    wanted = [f"{_ENDPOINT}={name}", *labels.filters(project=client.project, env=client.environment)["label"]]
    listed = client.get("/containers/json", all="true", filters={"label": wanted})
    seen = (client.optional(f"/containers/{c['Id']}/json") for c in listed)
    return [s for s in seen if s is not None]


def _of(found: Sequence[Inspect], role: str) -> list[Inspect]:
    return [seen for seen in found if seen["Config"]["Labels"].get(_ROLE) == role]


def _read(client: DockerClient, name: str, known: Map) -> Observed | None:
    found = _containers(client, name)
    if not found:
        return None
    proxies, serving = _of(found, _PROXY), _of(found, _MODEL)
    front = next((p for p in proxies if containers.status(p) == "running"), proxies[0] if proxies else None)
    text = proxy.written(client, front["Id"]) if front is not None else None
    told = proxy_config.described(text) if text is not None else None
    if told is None:
        return Observed(name, Map({**known, "name": name, "url": known.get("url"), "status": "stopped"}))
    assert front is not None and text is not None
    up = {s["Name"].lstrip("/"): s for s in serving if containers.status(s) == "running"}
    status = "running"
    if containers.status(front) != "running":
        status = "stopped"
    elif proxy.live(client, front) != proxy_config.digest_of(text):
        status = "stale"
    elif not told["servers"].keys() <= up.keys():
        status = "degraded"
    elif len(proxies) > 1 or len(serving) > len(told["servers"]):
        status = "untidy"
    attributes = {k: v for k, v in told.items() if k in _RECORDED}
    drifted = _drifted(client, [s for host, s in up.items() if host in told["servers"]], told.get("resources") or {})
    if drifted is not None:
        attributes["resources"] = drifted
    return Observed(name, freeze({**attributes, "name": name, "url": proxy.url(client, front), "status": status}))


def _limits(resources: Mapping[str, Any]) -> Limits:
    accelerators = str(resources.get("accelerators") or "")
    gpus = int(accelerators.partition(":")[2] or 1) if accelerators else 0
    return Limits(int(resources.get("memory") or 0), float(resources.get("cpus") or 0), gpus)


def _actual(seen: Inspect) -> tuple[int, int]:
    """Its limits: ``Memory`` and ``NanoCpus``, 0 for none."""
    return seen["HostConfig"].get("Memory") or 0, seen["HostConfig"].get("NanoCpus") or 0


def _drifted(client: DockerClient, serving: Sequence[Inspect], resources: Mapping[str, Any]) -> dict[str, Any] | None:
    """The resources as a hand changed them on one of the containers; None when nobody did."""
    wanted = _limits(resources).host_config(client)
    for seen in serving:
        memory, cpus = _actual(seen)
        if (memory, cpus) != (wanted.get("Memory", 0), wanted.get("NanoCpus", 0)):
            there = {"memory": memory or None, "cpus": cpus / 1e9 or None}
            return {**resources, **{k: v for k, v in there.items() if v is not None}}
    return None


# making it so


async def _make_so(client: DockerClient, desired: Desired, token: str | None) -> Observed:
    attributes = desired.attributes
    name = str(attributes["name"])
    resources = attributes.get("resources", EMPTY)
    check(client, resources, "resources")
    found = await client.run(_containers, client, name)
    marks = {**labels.own(client.project, client.environment, desired.address, token or _operation(found)), _ENDPOINT: name}
    wanted = await _wanted(client, attributes, marks)
    await client.run(_settle_limits, client, _of(found, _MODEL), _limits(resources).host_config(client))
    servers = await _bring_up(client, attributes, wanted, _of(found, _MODEL), marks)
    text = proxy_config.render(_routing(attributes, servers))
    await _switch(client, attributes, _of(found, _PROXY), text, marks)
    await client.run(_tidy, client, name, servers, wanted)
    observed = await client.run(_read, client, name, attributes)
    assert observed is not None
    return observed


def _operation(found: Sequence[Inspect]) -> str:
    """The operation that made it; kept by whatever a later change adds."""
    return next((str(seen["Config"]["Labels"].get(labels.OPERATION, "")) for seen in found), "")


async def _wanted(client: DockerClient, attributes: Map, marks: Mapping[str, str]) -> list[Served]:
    """What each variant's containers should be."""
    variables = models.variables_of(attributes.get("env"))
    name, base = str(attributes["name"]), str(attributes["image"])
    path = str(attributes.get("health", EMPTY).get("path", "/ping"))
    patience = float(attributes.get("health", EMPTY).get("timeout", _TIMEOUT))
    found = []
    for variant, asked in attributes["variants"].items():
        with prefixed(variant):
            made = await client.run(models.served, client, name, variant, asked, base, variables, marks)
        own = path if "image" in asked else "/ping"
        found.append(models.with_probe(made, models.probe(own, patience)))
    return found


async def _bring_up(
    client: DockerClient, attributes: Map, wanted: Sequence[Served], there: Sequence[Inspect], marks: Mapping[str, str]
) -> dict[str, str]:
    """Container name → variant of what should be asked from now on: those that run already, and new ones, ready."""
    replicas = max(1, int(attributes.get("replicas", EMPTY).get("min", 1)))
    patience = float(attributes.get("health", EMPTY).get("timeout", _TIMEOUT))
    servers: dict[str, str] = {}
    plans: list[tuple[Served, Plan]] = []
    limits = _limits(attributes.get("resources", EMPTY)).host_config(client)
    for made in wanted:
        content = made.content
        running = [
            seen
            for seen in there
            if containers.status(seen) == "running"
            and (seen["Config"]["Labels"].get(_VARIANT), seen["Config"]["Labels"].get(_CONTENT)) == (made.variant, content)
            and _actual(seen) == (limits.get("Memory", 0), limits.get("NanoCpus", 0))
        ][:replicas]
        servers.update({seen["Name"].lstrip("/"): made.variant for seen in running})
        for _ in range(replicas - len(running)):
            plans.append((made, _plan(client, str(attributes["name"]), made, limits, marks)))
    started: list[str] = []

    async def one(made: Served, plan: Plan) -> None:
        with prefixed(made.variant):
            say("loading the model beside what is served" if there else "loading the model")
            try:
                await containers.start(client, plan, within=patience)
            except Failure as failure:
                failure.message = f"variant {made.variant}: {failure.message}"
                failure.args = (failure.message,)
                failure.path = ("resources", "memory") if failure.path == ("Memory",) else ("variants", made.variant)
                raise
        started.append(plan.name)

    try:
        async with asyncio.TaskGroup() as group:
            for made, plan in plans:
                group.create_task(one(made, plan))
    except BaseException as error:
        for name in started:
            await asyncio.shield(client.run(containers.remove_quietly, client, name))
        if isinstance(error, BaseExceptionGroup):
            raise _first(error) from None
        raise
    servers.update({plan.name: made.variant for made, plan in plans})
    return servers


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _plan(client: DockerClient, name: str, made: Served, limits: Mapping[str, Any], marks: Mapping[str, str]) -> Plan:
    host = {
        **made.body["HostConfig"],
        **limits,
        "Init": True,  # a server of anybody's, as the first process, would not hear that it is to end
        "NetworkMode": client.network,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
    }
    mine = {**marks, _ROLE: _MODEL, _VARIANT: made.variant, _CONTENT: made.content}
    own = physical_name(name, "", made.variant, limit=54)
    return Plan(
        name=f"{own}-{secrets.token_hex(4)}",
        body={**made.body, "Image": made.image, "Labels": mine, "HostConfig": host},
        files=made.files,
    )


def _routing(attributes: Map, servers: Mapping[str, str]) -> Routing:
    variants = attributes["variants"]
    path = str(attributes.get("health", EMPTY).get("path", "/ping"))
    if not any(int(v["traffic"]) > 0 for v in variants.values() if not v.get("shadow")):
        raise Invalid("no variant gets any traffic", path=("variants",), hint="give one a traffic above 0")
    return Routing(
        variants={name: int(v["traffic"]) for name, v in variants.items()},
        shadows=frozenset(name for name, v in variants.items() if v.get("shadow")),
        servers=tuple(
            Server(variant=variant, host=host) for host, variant in sorted(servers.items(), key=lambda s: (s[1], s[0]))
        ),
        health_path=path,
        probe_path=path if all("image" in v for v in variants.values()) else "/ping",
        sticky=str(attributes.get("sticky") or ""),
        described=thaw(Map({k: attributes[k] for k in _RECORDED if attributes.get(k) is not None})),
    )


async def _switch(client: DockerClient, attributes: Map, there: Sequence[Inspect], text: str, marks: Mapping[str, str]) -> None:
    """Have the proxy serve ``text``: the one that runs, if its image and port are those wanted, else a new one."""
    path = str(attributes.get("health", EMPTY).get("path", "/ping"))
    image, port = str(attributes["proxy"]), attributes.get("port")
    name = f"{attributes['name']}-{_PROXY}"
    front = next((seen for seen in there if _fits(client, seen, image, port)), None)
    if front is not None:
        if await client.run(proxy.live, client, front) != proxy_config.digest_of(text):
            say("switching over")
            await proxy.change(client, front, text, path=path)
        return
    for old in there:
        await client.run(containers.stop, client, old["Id"])
        await client.run(containers.remove, client, old["Id"])
    await proxy.start(client, name, image, port, text, {**marks, _ROLE: _PROXY}, path=path)


def _fits(client: DockerClient, seen: Inspect, image: str, port: Any) -> bool:
    served = containers.published(seen).get(f"{proxy_config.PORT}/tcp")
    return containers.status(seen) == "running" and seen["Config"]["Image"] == image and (port is None or served == port)


def _settle_limits(client: DockerClient, serving: Sequence[Inspect], wanted: Mapping[str, Any]) -> None:
    """Put right in place what a hand changed: the containers that keep serving need not be made anew."""
    for seen in serving:
        host = seen["HostConfig"]
        change = {k: v for k, v in wanted.items() if k != "DeviceRequests" and host.get(k) != v}
        if change and containers.status(seen) == "running":
            client.post(f"/containers/{seen['Id']}/update", change)
            host.update(change)


def _tidy(client: DockerClient, name: str, servers: Mapping[str, str], wanted: Sequence[Served]) -> None:
    """Remove what is asked no more: model containers first, then the images that only they had."""
    for seen in _of(_containers(client, name), _MODEL):
        if seen["Name"].lstrip("/") not in servers:
            containers.stop(client, seen["Id"])
            containers.remove(client, seen["Id"])
    environment.discard(client, name, *(made.image for made in wanted))


def _find(client: DockerClient, desired: Desired, token: str) -> Observed | None:
    name = str(desired.attributes["name"])
    mine = [seen for seen in _containers(client, name) if seen["Config"]["Labels"].get(labels.OPERATION) == token]
    if not mine:
        return None
    if not _of(mine, _PROXY):  # nothing was served yet
        _delete(client, name)
        return None
    return _read(client, name, desired.attributes)


def _delete(client: DockerClient, name: str) -> None:
    found = _containers(client, name)
    for seen in _of(found, _PROXY):
        containers.stop(client, seen["Id"])
        containers.remove(client, seen["Id"])
    for seen in _of(found, _MODEL):  # nobody asks them any more
        containers.remove(client, seen["Id"])
    environment.discard(client, name)
