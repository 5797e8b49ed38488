"""``docker.container``: one long-running container, with the Engine API's own property names.

Those of ``POST /containers/create`` and of its ``HostConfig`` stand side by side, as in the body of ``POST /containers/ID/update``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema, TypeName
from mlinfra.model.values import Map, Path, Secret, SecretDigest, Value, freeze
from mlinfra.provider.failures import NotFound
from mlinfra.provider.progress import say
from mlinfra_docker import containers, labels
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import Inspect
from mlinfra_docker.naming import name_at
from mlinfra_docker.shape import shaped

_FIXED = "Docker Engine API: POST /containers/{id}/update takes resources and RestartPolicy only"

_CONFIG: Mapping[str, TypeName] = {
    "Image": "string", "Cmd": "any", "Entrypoint": "any", "Env": "any", "User": "string", "WorkingDir": "string",
    "Hostname": "string", "Domainname": "string", "ExposedPorts": "map", "Labels": "map", "Healthcheck": "map",
    "StopSignal": "string", "StopTimeout": "integer", "Tty": "boolean", "OpenStdin": "boolean",
}  # fmt: skip
_HOST: Mapping[str, TypeName] = {
    "Mounts": "list", "Binds": "list", "Tmpfs": "map", "PortBindings": "map", "NetworkMode": "string", "ReadonlyRootfs": "boolean",
    "DeviceRequests": "list", "Devices": "list", "CapAdd": "list", "CapDrop": "list", "SecurityOpt": "list", "ExtraHosts": "list",
    "GroupAdd": "list", "Dns": "list", "ShmSize": "integer", "Ulimits": "list", "LogConfig": "map", "Init": "boolean",
    "Privileged": "boolean", "Sysctls": "map", "IpcMode": "string", "PidMode": "string", "Runtime": "string",
}  # fmt: skip
_CHANGING: Mapping[str, TypeName] = {
    "CpuShares": "integer", "CpusetCpus": "string", "MemoryReservation": "integer", "MemorySwap": "integer", "PidsLimit": "integer",
}  # fmt: skip
"""Changed in place; beside Memory, NanoCpus and RestartPolicy, of which the default is held too."""
HELD: Mapping[str, Value] = {"Memory": 0, "NanoCpus": 0, "RestartPolicy": Map(Name="no")}
"""Known without being asked for: limits that nobody set, and no restarts."""
IN_PLACE = frozenset({*_CHANGING, *HELD, "Status"})
_UNORDERED = frozenset({"Binds", "Mounts", "CapAdd", "CapDrop", "ExtraHosts", "GroupAdd"})
_TIMEOUT = 300.0


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"Status": "running", **{name: value for name, value in HELD.items() if attributes.get(name) is None}}


def _fixed(name: str, type: TypeName) -> Attribute:
    return Attribute(type=type, required=name == "Image", immutable=True, source=_FIXED, unordered=name in _UNORDERED)


class Container:
    """``Env`` is a map, or the API's list of ``NAME=value``; sizes are bytes, ``NanoCpus`` billionths of a core, times of a
    ``Healthcheck`` nanoseconds. ``Files`` (path → text) are written into it before it starts. ``Status`` is predicted to be
    ``running``, so that a container that was killed is started again, and one that is unhealthy restarted.

    ``Ports`` tells the engine's port for each published one, ``Urls`` its address as seen from here: a binding without ``HostPort``
    gets a port that stays the same.
    """

    schema = Schema(
        attributes={
            "Name": Attribute(type="string", computed=True, immutable=True, source="two containers cannot have one name"),
            **{name: _fixed(name, type) for name, type in {**_CONFIG, **_HOST}.items()},
            "EndpointsConfig": Attribute(type="map", immutable=True, source=_FIXED),
            "Files": Attribute(type="map", immutable=True, write_only=True, source="they are written before it starts"),
            **{name: Attribute(type=type) for name, type in _CHANGING.items()},
            "Memory": Attribute(type="integer", computed=True),
            "NanoCpus": Attribute(type="integer", computed=True),
            "RestartPolicy": Attribute(type="map", computed=True),
            "Id": Attribute(type="string", computed=True),
            "ImageId": Attribute(type="string", computed=True),
            "Status": Attribute(type="string", computed=True),
            "Ports": Attribute(type="map", computed=True),
            "Urls": Attribute(type="map", computed=True),
        },
        predict=_predict,
        serves=True,
        named_by="Name",
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        seen = await client.run(client.optional, f"/containers/{recorded.id}/json")
        return None if seen is None else observed(client, seen, recorded.attributes)

    async def read_many(self, client: DockerClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        return await client.run(_read_many, client, recorded)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        seen = await containers.start(client, plan(client, desired, token), within=desired.timeout or _TIMEOUT)
        return observed(client, seen, desired.attributes)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        await client.run(change, client, recorded, desired)
        seen = await containers.wait_ready(client, recorded.id, within=desired.timeout or _TIMEOUT)
        return observed(client, seen, desired.attributes)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(end, client, recorded.id)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        return await client.run(_find, client, desired, token)

    async def adopt(self, client: DockerClient, id: str) -> Observed | None:
        seen = await client.run(client.optional, f"/containers/{id}/json")
        return None if seen is None else observed(client, seen, Map(dict.fromkeys(_ADOPTED)))

    def logs(self, client: DockerClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        return containers.log_lines(client, recorded.id, follow=follow)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        memory = attributes.get("Memory")
        if isinstance(memory, int) and 0 < memory < 6 * 2**20:
            return [(("Memory",), "Docker takes no memory limit below 6 MiB (6291456 bytes)")]
        if attributes.get("ReadonlyRootfs") is True and isinstance(attributes.get("Files"), Mapping):
            return [(("Files",), "Docker writes no files into a container whose root is read-only: mount a volume with them")]
        return []


_ADOPTED = ("Image", "Cmd", "Entrypoint", "User", "WorkingDir", "Mounts", "PortBindings", "NetworkMode")
"""What an imported container is known by: the rest of it is as the engine filled it in."""


def _read_many(client: DockerClient, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
    """One list call tells which are there; those are asked one by one, because the list does not tell their settings."""
    wanted = {state.id: state for state in recorded}
    listed = {item["Id"] for item in client.get("/containers/json", all="true")}
    seen = {id: client.optional(f"/containers/{id}/json") for id in wanted if id in listed}
    return {id: observed(client, found, wanted[id].attributes) for id, found in seen.items() if found is not None}


def plan(client: DockerClient, desired: Desired, token: str) -> containers.Plan:
    wanted = desired.attributes
    given = {name: containers.revealed(value) for name, value in wanted.items() if value is not None}
    limits = client.config.limits
    host: dict[str, Any] = {name: given[name] for name in (*_HOST, *_CHANGING, *HELD) if name in given}
    host.setdefault("Memory", limits.memory or 0)
    host.setdefault("NanoCpus", round((limits.cpus or 0) * 1e9))
    body: dict[str, Any] = {name: given[name] for name in _CONFIG if name in given}
    body["Labels"] = {**body.get("Labels", {}), **labels.own(client.project, client.environment, desired.address, token)}
    endpoints: dict[str, Any] = dict(given.get("EndpointsConfig") or {})
    if "NetworkMode" not in host and endpoints:
        host["NetworkMode"] = next(iter(endpoints))
    if host.get("NetworkMode") in endpoints:  # older engines take one endpoint with the create, the others after it
        mode = host["NetworkMode"]
        body["NetworkingConfig"] = {"EndpointsConfig": {mode: endpoints.pop(mode)}}
    if isinstance(body.get("Env"), dict):
        body["Env"] = [f"{name}={value}" for name, value in body["Env"].items()]
    return containers.Plan(
        name=given.get("Name") or name_at(client, desired.address),
        body={**body, "HostConfig": host},
        files={path: str(text).encode() for path, text in (given.get("Files") or {}).items()},
        networks=endpoints,
    )


def change(client: DockerClient, recorded: ResourceState, desired: Desired) -> None:
    id, wanted = recorded.id, desired.attributes
    seen = client.optional(f"/containers/{id}/json")
    if seen is None:
        raise NotFound(f"the container {id[:12]} was removed while it was to be changed")
    body = {name: containers.revealed(wanted[name]) for name in _CHANGING if wanted.get(name) is not None}
    body["RestartPolicy"] = containers.revealed(wanted.get("RestartPolicy") or HELD["RestartPolicy"])
    # 0 would leave a limit as it is: all that the machine has comes to the same as none
    body["Memory"] = wanted.get("Memory") or client.config.limits.memory or client.info["MemTotal"]
    body["NanoCpus"] = wanted.get("NanoCpus") or round((client.config.limits.cpus or client.info["NCPU"]) * 1e9)
    body.setdefault("MemorySwap", 2 * body["Memory"])  # the engine's own rule; and -1 would be refused beside a raised Memory
    client.post(f"/containers/{id}/update", body)
    state = containers.status(seen)
    if state == "paused":
        client.post(f"/containers/{id}/unpause")
    elif state in ("unhealthy", "restarting"):
        say("restarting it")
        client.call("POST", f"/containers/{id}/restart", timeout=600)
    elif state != "running":
        say("starting it again")
        client.post(f"/containers/{id}/start")


def end(client: DockerClient, id: str) -> None:
    containers.stop(client, id)
    containers.remove(client, id)


def _find(client: DockerClient, desired: Desired, token: str) -> Observed | None:
    """What the create left: a container that was started is kept, one that never was is removed."""
    kept = None
    for seen in containers.made_by(client, token):
        if kept is None and seen["State"]["Status"] != "created":
            kept = observed(client, seen, desired.attributes)
        else:
            containers.remove(client, seen["Id"])
    return kept


def observed(client: DockerClient, seen: Inspect, asked: Map) -> Observed:
    """The container as it stands, told in the shape in which ``asked`` (desired or recorded attributes) told it."""
    config, host = seen["Config"], seen["HostConfig"]
    told: dict[str, Value] = {}
    for name in asked:
        if name in _CONFIG:
            told[name] = shaped(asked[name], freeze(config.get(name)))
        elif name in _HOST or name in _CHANGING:
            told[name] = shaped(asked[name], freeze(host.get(name)))
    if "Image" in asked:
        told["Image"] = config["Image"]
    if "Env" in asked:
        told["Env"] = _environment(asked["Env"], config.get("Env") or [])
    if "PortBindings" in asked and asked["PortBindings"] is not None:
        told["PortBindings"] = _bindings(asked["PortBindings"], host.get("PortBindings") or {})
    if asked.get("EndpointsConfig") is not None:
        networks = seen["NetworkSettings"]["Networks"]
        told["EndpointsConfig"] = Map(
            {n: _endpoint(e, networks[n]) for n, e in asked["EndpointsConfig"].items() if n in networks}
        )
    if "Files" in asked:
        told["Files"] = asked["Files"]
    ports = containers.published(seen)
    told |= {
        "Name": seen["Name"].lstrip("/"),
        "Memory": _limit(host.get("Memory"), client.config.limits.memory, client.info["MemTotal"], asked.get("Memory")),
        "NanoCpus": _limit(
            host.get("NanoCpus"),
            round((client.config.limits.cpus or 0) * 1e9),
            client.info["NCPU"] * 10**9,
            asked.get("NanoCpus"),
        ),
        "RestartPolicy": _restart(asked.get("RestartPolicy"), host.get("RestartPolicy") or {}),
        "Id": seen["Id"],
        "ImageId": seen["Image"],
        "Status": containers.status(seen),
        "Ports": Map(ports),
        "Urls": Map({port: f"http://{client.reach}:{number}" for port, number in ports.items()}),
    }
    return Observed(seen["Id"], Map({name: value for name, value in told.items() if value is not None}))


def _limit(actual: int | None, default: int | None, most: int, asked: Value) -> int:
    """A limit that nobody asked for is told as 0: none at all, the settings' default, or all that the machine has."""
    actual = actual or 0
    return 0 if not asked and (actual == (default or 0) or actual >= most) else actual


def _restart(asked: Value, actual: Mapping[str, Any]) -> Map:
    policy = Map(Name=actual.get("Name") or "no")
    if isinstance(asked, Mapping) and "MaximumRetryCount" in asked:
        return Map({**policy, "MaximumRetryCount": actual.get("MaximumRetryCount", 0)})
    return policy


def _environment(asked: Value, actual: Sequence[str]) -> Value:
    """The variables that were asked for, with the values they have; the image's own are none of ours."""
    have = dict(entry.partition("=")[::2] for entry in actual)
    if isinstance(asked, Mapping):
        return Map({name: _as_secret(asked[name], have[name]) for name in asked if name in have})
    if isinstance(asked, tuple):
        names = [None if isinstance(e, (Secret, SecretDigest)) else str(e).partition("=")[0] for e in asked]
        return tuple([asked[i] if n is None else f"{n}={have[n]}" for i, n in enumerate(names) if n is None or n in have])
    return asked


def _as_secret(asked: Value, value: str) -> Value:
    if isinstance(asked, (Secret, SecretDigest)):
        return Secret(value)
    return asked if asked is not None and str(asked) == value else value


def _bindings(asked: Map, actual: Mapping[str, Any]) -> Map:
    """A port that was left to us, and an interface that was, are told as they were asked for."""
    found = {}
    for port, bound in actual.items():
        wanted = asked.get(port, ())
        found[port] = tuple(
            Map(
                {
                    key: (wanted[i][key] if key in wanted[i] and not wanted[i][key] else b.get(key, ""))
                    for key in (wanted[i] if i < len(wanted) else b)
                }
            )
            for i, b in enumerate(bound or [])
        )
    return Map(found)


def _endpoint(asked: Value, actual: Mapping[str, Any]) -> Value:
    """The engine adds the container's short id to the aliases."""
    told = shaped(asked, freeze(dict(actual)))
    if isinstance(asked, Mapping) and asked.get("Aliases") and set(asked["Aliases"]) <= set(actual.get("Aliases") or ()):
        return Map({**told, "Aliases": asked["Aliases"]})
    return told
