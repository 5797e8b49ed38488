"""A container that runs one command to its end and outlives us by seconds: we hold its standard input.

Its first process is a shell that starts the command and, beside it, waits for the end of its input. When we are gone, however we
ended, the engine closes that input, and the shell takes the command down. What then is left, a container that has ended, the
next connection's :func:`sweep` removes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlinfra.provider.failures import Failure, NotFound
from mlinfra.provider.limiter import waiting
from mlinfra_docker import containers, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pulling import ensure_image
from mlinfra_docker.runs.body import Archive

_TAIL = 20
_GRACE = 5
_SHELL = (
    'exec 3<&0; "$@" </dev/null 3<&- & c=$!; '
    f"{{ cat <&3 >/dev/null; kill -TERM $c; sleep {_GRACE}; kill -KILL $c; }} >/dev/null 2>&1 & "
    "exec 3<&-; wait $c; exit $?"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """``out_of_memory``: the engine killed it for its limit; ``tail`` are its last lines."""

    code: int
    out_of_memory: bool
    tail: tuple[str, ...]


async def run(
    client: DockerClient,
    name: str,
    body: Mapping[str, Any],
    archives: Iterable[Archive],
    *,
    within: float | None,
    on_line: Callable[[str], None],
) -> Ended:
    """Run ``body`` (as of ``POST /containers/create``; its ``Cmd`` is the command, an image's entry point is left out) after
    unpacking ``archives`` into it. It is removed in the end, whatever happens. TimeoutError after ``within`` seconds."""
    await client.run(ensure_image, client, str(body["Image"]))
    id = await client.run(_make, client, name, body)
    held = None
    tail: list[str] = []
    try:
        for archive in archives:
            await client.run(client.put_archive, id, "/", archive())
        held = await client.run(client.hold, id)
        await client.run(client.post, f"/containers/{id}/start")
        async with waiting(), asyncio.timeout(within):
            async for line in containers.log_lines(client, id, follow=True):
                tail = [*tail[-_TAIL + 1 :], line]
                on_line(line)
            await client.run(client.wait, id)
        seen = await client.run(client.get, f"/containers/{id}/json")
        code = int(seen["State"]["ExitCode"])
        return Ended(code, containers.out_of_memory(seen) and code != 0, tuple(tail))
    finally:
        if held is not None:
            with suppress(OSError):
                held.close()
        await asyncio.shield(client.run(containers.remove_quietly, client, id))


def _make(client: DockerClient, name: str, body: Mapping[str, Any]) -> str:
    host = {"AutoRemove": False, **body.get("HostConfig", {})}
    if host.get("NetworkMode") == client.network:
        client.ensure_network()
    wrapped = {
        **body,
        "HostConfig": host,
        "Entrypoint": ["sh", "-c", _SHELL, "sh"],
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": {**body.get("Labels", {}), **volumes.helper_labels(client)},
    }
    try:
        return str(client.post("/containers/create", wrapped, name=name)["Id"])
    except NotFound as missing:
        raise Failure(f"the container cannot be made: {missing.message}") from missing
