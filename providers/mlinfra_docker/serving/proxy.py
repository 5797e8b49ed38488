"""The proxy's container: started, asked what it serves, and given something else to serve without a dropped request.

A change is validated in the container, written, and taken over by HAProxy's own reload: the new process inherits the listening
sockets, the old one answers what it has begun and ends. Only then is the change done.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from mlinfra.provider.failures import Failure, Invalid, NotFound, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra_docker import containers
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import Inspect, Plan
from mlinfra_docker.serving.proxy_config import DRAIN, MIRROR, MIRROR_PROGRAM, PORT, STATUS_PATH, digest_of

_FILE = "/mlinfra/haproxy.cfg"
_TRIAL = "/mlinfra/trial.cfg"
_POLL = 0.2
_START = 30.0
_RELOAD = 30.0


async def start(
    client: DockerClient, name: str, image: str, port: int | None, text: str, labels: Mapping[str, str], *, path: str
) -> Inspect:
    """Start it with the configuration ``text`` and wait until it serves. It is removed again when it does not come up."""
    body: dict[str, Any] = {
        "Image": image,
        "Entrypoint": ["haproxy"],
        "Cmd": ["-W", "-db", "-f", _FILE],
        "StopSignal": "SIGUSR1",
        "Labels": dict(labels),
        "HostConfig": {
            "NetworkMode": client.network,
            "RestartPolicy": {"Name": "unless-stopped"},
            "PortBindings": {f"{PORT}/tcp": [{"HostPort": str(port)} if port else {}]},
        },
    }
    plan = Plan(name=name, body=body, files={_FILE: text.encode(), MIRROR: MIRROR_PROGRAM.encode()})
    seen = await containers.start(client, plan, within=_START)
    try:
        await _until_live(client, seen, text, path)
    except BaseException:
        await asyncio.shield(client.run(containers.remove_quietly, client, seen["Id"]))
        raise
    return seen


async def change(client: DockerClient, seen: Inspect, text: str, *, path: str) -> None:
    """Serve ``text`` from now on. When this returns, the old process has ended, and nobody asks what only it knew.

    Invalid when HAProxy refuses it, Timeout when it does not take it over: then it serves what it served before."""
    id = seen["Id"]
    await client.run(client.put_archive, id, "/", containers.tar_of({_TRIAL: text.encode()}))
    code, out, err = await client.run(client.execute, id, ["haproxy", "-c", "-f", _TRIAL])
    if code:
        raise Invalid(f"the proxy refuses its configuration: {(err or out).decode(errors='replace').strip()[-800:]}")
    await client.run(client.put_archive, id, "/", containers.tar_of({_FILE: text.encode()}))
    await client.run(lambda: client.post(f"/containers/{id}/kill", signal="USR2"))
    await _until_live(client, seen, text, path)
    await _until_drained(client, id)


def written(client: DockerClient, id: str) -> str | None:
    """The configuration that lies in the container, running or not. Blocks."""
    import io
    import tarfile

    try:
        with client.get_archive(id, _FILE) as chunks, tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.next()
            found = tar.extractfile(member) if member is not None else None
            return found.read().decode() if found is not None else None
    except NotFound:
        return None


def live(client: DockerClient, seen: Inspect) -> str | None:
    """The digest of the configuration in force; None when the proxy does not answer. Blocks up to two seconds."""
    port = containers.published(seen).get(f"{PORT}/tcp")
    if port is None:
        return None
    connection = http.client.HTTPConnection(client.reach, port, timeout=2)
    try:
        connection.request("GET", STATUS_PATH, headers={"connection": "close"})
        response = connection.getresponse()
        return str(json.loads(response.read())["config"]) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def url(client: DockerClient, seen: Inspect) -> str | None:
    """Where the endpoint is, or will be again."""
    port = containers.published(seen).get(f"{PORT}/tcp")
    return f"http://{client.reach}:{port}" if port else None


async def _until_live(client: DockerClient, seen: Inspect, text: str, path: str) -> None:
    wanted, end = digest_of(text), time.monotonic() + _RELOAD
    while await client.run(live, client, seen) != wanted or not await client.run(_pings, client, seen, path):
        if time.monotonic() > end:
            last = await client.run(containers.tail_text, client, seen["Id"])
            where = url(client, seen)
            raise Timeout(
                f"the proxy did not take its configuration over in {_RELOAD:g} s{last}",
                hint=f"can {where} be reached from here? providers: {{docker: {{publish: {{host: …}}}}}} says under which name",
            )
        async with waiting():
            await asyncio.sleep(_POLL)


def _pings(client: DockerClient, seen: Inspect, path: str) -> bool:
    port = containers.published(seen)[f"{PORT}/tcp"]
    connection = http.client.HTTPConnection(client.reach, port, timeout=2)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def _until_drained(client: DockerClient, id: str) -> None:
    """Wait until the master has one worker again: the old one has answered all that it had begun."""
    end, said = time.monotonic() + DRAIN + 5, False
    while True:
        try:
            listed = await client.run(client.get, f"/containers/{id}/top")
        except Failure:
            return
        if len(listed["Processes"]) <= 2 or time.monotonic() > end:
            return
        if not said:
            said = True
            say("waiting until requests under way are answered")
        async with waiting():
            await asyncio.sleep(_POLL)
