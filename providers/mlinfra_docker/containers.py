"""The life of a container: made, started, waited for, told about, removed. A start that fails leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mlinfra.model.values import Secret
from mlinfra.provider.failures import AlreadyExists, Conflict, Failure, Invalid, NotFound, Quota
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra_docker import labels
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pulling import ensure_image

_POLL = 0.25
_GRACE = 1.0
"""Seconds that a container without a health check must stay up to count as started."""
_PORTS = range(20000, 30000)
_PORT_TRIES = 20
_TAIL = 20
_SIGNALLED = (137, 143)
_GOING_DOWN = 5.0

Inspect = Mapping[str, Any]
"""What ``GET /containers/ID/json`` answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A container to be made: ``body`` is that of ``POST /containers/create``, with everything resolved and revealed.

    ``files``     absolute path in the container → content, written before it starts
    ``networks``  beside the one of ``HostConfig.NetworkMode``: name → endpoint settings
    A port binding without a HostPort gets one that depends on the container's name alone, so that its URL survives a rebuild.
    """

    name: str
    body: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


async def start(client: DockerClient, plan: Plan, *, within: float) -> Inspect:
    """Make, start, and wait until it is ready (see :func:`wait_ready`). On any failure, and when cancelled, it is removed again.

    AlreadyExists when the name is taken; Invalid or Quota, with the reason and the log's last lines, when it does not come up."""
    await client.run(ensure_image, client, str(plan.body["Image"]))
    id = await client.run(_make_and_start, client, plan)
    try:
        return await wait_ready(client, id, within=within)
    except BaseException:
        await asyncio.shield(client.run(remove_quietly, client, id))
        raise


def _make_and_start(client: DockerClient, plan: Plan) -> str:
    if plan.body["HostConfig"].get("NetworkMode") == client.network:
        client.ensure_network()
    open_ports = _open_ports(plan.body)
    for attempt in range(_PORT_TRIES):
        chosen = {port: _port(plan.name, port, attempt) for port in open_ports}
        id = _make(client, plan, chosen)
        try:
            for network, settings in plan.networks.items():
                client.post(f"/networks/{network}/connect", {"Container": id, "EndpointConfig": dict(settings)})
            if plan.files:
                client.put_archive(id, "/", tar_of(plan.files))
            client.post(f"/containers/{id}/start")
            return id
        except Failure as failure:
            remove_quietly(client, id)
            taken = _taken_port(failure)
            if taken is None:
                raise _explained(failure) from failure
            if taken not in chosen.values() or attempt == _PORT_TRIES - 1:
                raise Invalid(
                    f"port {taken} is in use on the engine's machine",
                    path=("PortBindings",),
                    hint="stop what uses it (docker ps, ss -ltnp), or choose another port",
                ) from failure
        except BaseException:
            remove_quietly(client, id)
            raise
    raise AssertionError


def _make(client: DockerClient, plan: Plan, chosen: Mapping[str, int]) -> str:
    host = dict(plan.body["HostConfig"])
    host["PortBindings"] = {
        port: [{"HostIp": b.get("HostIp") or client.bind, "HostPort": str(b.get("HostPort") or chosen[port])} for b in bindings]
        for port, bindings in (host.get("PortBindings") or {}).items()
    }
    exposed = {**(plan.body.get("ExposedPorts") or {}), **{port: {} for port in host["PortBindings"]}}
    try:
        made = client.post("/containers/create", {**plan.body, "HostConfig": host, "ExposedPorts": exposed}, name=plan.name)
    except Conflict as conflict:
        raise AlreadyExists(
            f"a container called {plan.name} exists and is not ours", import_id=plan.name, path=("Name",)
        ) from conflict
    except NotFound as missing:
        raise _explained(missing) from missing
    return str(made["Id"])


def _open_ports(body: Mapping[str, Any]) -> list[str]:
    bindings = body["HostConfig"].get("PortBindings") or {}
    return [port for port, wanted in bindings.items() if any(not b.get("HostPort") for b in wanted)]


def _port(name: str, port: str, attempt: int) -> int:
    seed = int.from_bytes(hashlib.sha256(f"{name}/{port}".encode()).digest()[:4], "big")
    return _PORTS[(seed + attempt * 7919) % len(_PORTS)]


def _taken_port(failure: Failure) -> int | None:
    if "port is already allocated" in failure.message or "address already in use" in failure.message:
        found = re.search(r":(\d+)(?: failed|: bind)", failure.message) or re.search(r":(\d+)", failure.message)
        return int(found[1]) if found else 0
    return None


def _explained(failure: Failure) -> Failure:
    """A start that the engine refused, as something that trying again does not mend."""
    if isinstance(failure, NotFound) and "network" in failure.message:
        return Conflict(failure.message)  # the stack's network went between two calls; it is made again
    if failure.retryable or isinstance(failure, Quota):
        return failure
    short = re.sub(r"^failed to create (?:task|shim).*?: OCI runtime", "OCI runtime", failure.message)
    return Invalid(f"the container cannot be started: {short}", hint=failure.hint)


async def wait_ready(client: DockerClient, id: str, *, within: float) -> Inspect:
    """Wait until a started container is healthy, or, without a health check, has stayed up for a second.

    Quota when it was killed for want of memory, Invalid when it ended, stays unhealthy, or is not ready within ``within``
    seconds; with the log's last lines."""
    began = time.monotonic()
    said = ""
    while True:
        seen: Inspect = await client.run(client.get, f"/containers/{id}/json")
        state, name = seen["State"], seen["Name"].lstrip("/")
        health = (state.get("Health") or {}).get("Status", "none")
        pause = _POLL
        if state["Status"] in ("exited", "dead") or (state["Status"] == "restarting" and state.get("ExitCode")):
            raise await client.run(_ended, client, seen)
        if state["Status"] == "running" and (health == "healthy" or (health == "none" and time.monotonic() - began >= _GRACE)):
            return seen
        if health == "unhealthy":
            raise await client.run(_unhealthy, client, seen, "its health check fails")
        if time.monotonic() - began > within:
            raise await client.run(_unhealthy, client, seen, f"it is not ready after {within:g} s")
        if health == "starting":
            if said != health:
                said = health
                say(f"waiting until {name} is healthy")
            asked = time.monotonic()
            if await _answers(client, seen):
                return seen
            pause = max(_POLL, time.monotonic() - asked)  # asking must not take the time that the start needs
        async with waiting():
            await asyncio.sleep(pause)


async def _answers(client: DockerClient, seen: Inspect) -> bool:
    """Whether the health check passes now: the engine asks at intervals that suit a running service, not a start."""
    check = seen["Config"]["Healthcheck"]
    kind, *rest = check["Test"]
    command = ["/bin/sh", "-c", *rest] if kind == "CMD-SHELL" else rest
    try:
        async with waiting(), asyncio.timeout((check.get("Timeout") or 30e9) / 1e9):
            code, _, _ = await client.run(client.execute, seen["Id"], command)
        return code == 0
    except (TimeoutError, Failure):  # it has just ended; the next look tells
        return False


def _ended(client: DockerClient, seen: Inspect) -> Failure:
    name, tail = seen["Name"].lstrip("/"), tail_text(client, seen["Id"])
    if out_of_memory(seen):
        limit = seen["HostConfig"].get("Memory") or 0
        of = f" of {limit / 1e6:,.0f} MB" if limit else ""
        return Quota(
            f"{name} was killed: it needs more memory than its limit{of}{tail}", path=("Memory",), hint="raise its memory"
        )
    if seen["State"].get("ExitCode") in _SIGNALLED:  # not by itself: somebody stopped it, or the engine that goes down
        _see_whether_it_goes_down(client)
    return Invalid(f"{name} ended with exit code {seen['State'].get('ExitCode')}{tail}", hint="its log says why")


def _see_whether_it_goes_down(client: DockerClient) -> None:
    """Transient when the engine stops answering within a few seconds: it ends its containers before it ends itself."""
    end = time.monotonic() + _GOING_DOWN
    while time.monotonic() < end:
        client.get("/version")
        time.sleep(_POLL)


def _unhealthy(client: DockerClient, seen: Inspect, reason: str) -> Failure:
    name = seen["Name"].lstrip("/")
    probes = (seen["State"].get("Health") or {}).get("Log") or []
    answer = probes[-1].get("Output", "").strip()[-500:] if probes else ""
    said = f"; the check says: {answer}" if answer else ""
    return Invalid(
        f"{name} does not come up: {reason}{said}{tail_text(client, seen['Id'])}",
        path=("Healthcheck",),
        hint="its log says why; a slow start needs a longer timeout or StartPeriod",
    )


def out_of_memory(seen: Inspect) -> bool:
    return bool(seen["State"].get("OOMKilled"))


def tail_text(client: DockerClient, id: str, lines: int = _TAIL) -> str:
    """The last lines of a container's log, as the end of a message; empty when it wrote nothing."""
    with suppress(Failure):
        text = b"".join(client.log(id, tail=lines)).decode(errors="replace").rstrip()
        if text:
            return "; its last lines:\n" + "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
    return ""


def remove(client: DockerClient, id: str) -> None:
    """Stop and remove it, with the volumes that have no name. Gone already is success."""
    try:
        client.delete(f"/containers/{id}", force="true", v="true")
    except Conflict as conflict:
        if "already in progress" not in conflict.message:
            raise
        end = time.monotonic() + 60
        while client.optional(f"/containers/{id}/json") is not None and time.monotonic() < end:
            time.sleep(_POLL)


def remove_quietly(client: DockerClient, id: str) -> None:
    with suppress(Failure):
        remove(client, id)


def stop(client: DockerClient, id: str) -> None:
    """Ask it to end by its StopSignal, and kill it after its StopTimeout (10 s). Gone or stopped already is success."""
    with suppress(NotFound):
        client.call("POST", f"/containers/{id}/stop", timeout=600)


def made_by(client: DockerClient, token: str) -> list[Inspect]:
    """The containers that the operation ``token`` made, whatever became of them."""
    listed = client.get("/containers/json", all="true", filters=labels.filters(op=token))
    seen = (client.optional(f"/containers/{item['Id']}/json") for item in listed)
    return [s for s in seen if s is not None]


def status(seen: Inspect) -> str:
    """In one word: ``running``, ``unhealthy``, ``exited``, ``paused``, ``restarting``, ``created``, ``dead``."""
    state = seen["State"]
    unhealthy = (state.get("Health") or {}).get("Status") == "unhealthy"
    return "unhealthy" if state["Status"] == "running" and unhealthy else str(state["Status"])


def published(seen: Inspect) -> dict[str, int]:
    """Container port (``80/tcp``) → the engine's port, of what is published; from the settings, so that a stopped one has them."""
    bindings = seen["HostConfig"].get("PortBindings") or {}
    return {port: int(bound[0]["HostPort"]) for port, bound in sorted(bindings.items()) if bound and bound[0].get("HostPort")}


def tar_of(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    """A tar of these files: path → content. Folders on the way belong to root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(content), mode, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of text of a stream of chunks, as soon as they are whole."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace").rstrip("\r")


async def log_lines(client: DockerClient, id: str, *, follow: bool) -> AsyncIterator[str]:
    """A container's log line by line; with ``follow`` until it ends."""
    source = lines(client.log(id, follow=follow))
    while (line := await client.run(next, source, None)) is not None:
        yield line


@dataclass(frozen=True, slots=True)
class Finished:
    """How a container ended; ``tail`` are its last lines."""

    code: int
    out_of_memory: bool
    tail: tuple[str, ...]


async def run_to_end(
    client: DockerClient, plan: Plan, *, within: float | None = None, on_line: Callable[[str], None] | None = None
) -> Finished:
    """Make a container, let it run to its end, and remove it, whatever happens. Lines go to ``on_line`` as they come.

    Invalid when it does not end within ``within`` seconds. After a SIGKILL of ours it goes on until somebody who knows the
    operation's token removes it: give it the labels of :func:`mlinfra_docker.labels.own`, and look with :func:`made_by`."""
    await client.run(ensure_image, client, str(plan.body["Image"]))
    id = await client.run(_make_and_start, client, plan)
    try:
        last: list[str] = []
        async with waiting(), asyncio.timeout(within):
            async for line in log_lines(client, id, follow=True):
                last = [*last[-_TAIL + 1 :], line]
                if on_line is not None:
                    on_line(line)
            await client.run(client.wait, id)
            seen = await client.run(client.get, f"/containers/{id}/json")
        return Finished(int(seen["State"]["ExitCode"]), out_of_memory(seen), tuple(last))
    except TimeoutError as error:
        raise Invalid(f"{plan.name} did not end within {within:g} s") from error
    finally:
        await asyncio.shield(client.run(remove_quietly, client, id))


def revealed(value: Any) -> Any:
    """A frozen tree as the plain one that the engine takes, Secrets opened."""
    if isinstance(value, Secret):
        return revealed(value.reveal())
    if isinstance(value, Mapping):
        return {k: revealed(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [revealed(v) for v in value]
    return value
