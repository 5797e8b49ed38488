"""``local.milvus``: a Milvus Lite server on the loopback, supervised, with its data in the same folder.

Lite's data folder admits one process, so mlinfra, the pipeline and the user's application all connect to this server. It
survives the command that started it; a dead one is drift, and starting it again keeps the data and, when it is free, the port.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, Failure
from mlinfra.provider.progress import say
from mlinfra_local import services
from mlinfra_local.client import LocalClient, discard
from mlinfra_local.ports import keep_or_choose

MARKER = "milvus.json"
"""The operation that made it and the port it last listened on: how the folder is known to be ours."""

_POLL = 0.2


def _predict(attributes: Map) -> Mapping[str, Value]:
    port = attributes.get("port")
    return {"status": "running", **({"uri": _uri(port)} if isinstance(port, int) else {})}


class MilvusLite:
    """A server with its folder ``services/NAME``. ``port`` pins the port; without it one is chosen, and kept."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the folder's name"),
            "database": Attribute(type="string"),
            "port": Attribute(type="integer"),
            "uri": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
        serves=True,
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        folder = client.folder("services", recorded.id)
        found = await asyncio.to_thread(_read, folder)
        if found is None and folder.exists():
            # It is ours, whatever happened to its note: to make another one here would be refused.
            return Observed(recorded.id, Map({**recorded.attributes, "status": "lost"}))
        return found

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        folder = client.folder("services", str(desired.attributes["name"]))
        return await asyncio.to_thread(_create, folder, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_start, client.folder("services", recorded.id), desired)

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client.folder("services", recorded.id))

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        folder = client.folder("services", str(desired.attributes["name"]))
        return await asyncio.to_thread(lambda: _find(folder) if _marker(folder).get("op") == token else None)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        return await asyncio.to_thread(_read, client.folder("services", id))

    async def stake(self, client: LocalClient, recorded: ResourceState) -> str:
        count = await asyncio.to_thread(_collections, client.folder("services", recorded.id))
        return f"{count:,} collection{'s' if count != 1 else ''}" if count else ""

    async def logs(self, client: LocalClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        folder = client.folder("services", recorded.id)
        for line in await asyncio.to_thread(services.tail, folder, 200):
            yield line
        if follow:
            async for line in _following(services.log_file(folder)):
                yield line


def _uri(port: int) -> str:
    return f"http://{services.HOST}:{port}"


def _marker(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MARKER).read_text()))
    except (OSError, ValueError):
        return {}


def _mark(folder: Path, marker: Mapping[str, Any]) -> None:
    temporary = folder / (MARKER + ".new")
    temporary.write_text(json.dumps(dict(marker)))
    temporary.replace(folder / MARKER)


def _read(folder: Path) -> Observed | None:
    marker = _marker(folder)
    if not marker:
        return None
    service = services.status(folder)
    status = "stopped"
    if service is not None:
        status = "running" if _answers(service.port) else "hanging"
    settings = {k: marker[k] for k in ("database", "port") if marker.get(k) is not None}
    last = marker.get("last_port")
    if last and service is None and not marker.get("port") and (port := keep_or_choose(last)) != last:
        # A stranger listens there by now. Where it will be is settled here, so that the plan can tell who has to follow.
        last = port
        _mark(folder, {**marker, "last_port": port})
    return Observed(
        folder.name,
        Map({**settings, "name": folder.name, "status": status, "uri": _uri(last) if last else ""}),
    )


def _find(folder: Path) -> Observed | None:
    """The crash may have come between the server's start and the note of its port, or before the start: then nothing was made."""
    if not _marker(folder).get("last_port"):
        service = services.status(folder)
        if service is None:
            _delete(folder)
            return None
        _mark(folder, {**_marker(folder), "last_port": service.port})
    return _read(folder)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((services.HOST, port), timeout=2.0):
            return True
    except OSError:
        return False


def _create(folder: Path, desired: Desired, token: str) -> Observed:
    if folder.exists() and _marker(folder).get("op") != token:
        raise AlreadyExists(f"the folder {folder} exists and is not ours", import_id=folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    _mark(folder, {"op": token})
    return _start(folder, desired)


def _start(folder: Path, desired: Desired) -> Observed:
    """Start, or start again with other settings. On failure the marked folder stays: it is reported as half-made."""
    marker = _marker(folder)
    pinned, database = desired.attributes.get("port"), desired.attributes.get("database")
    services.stop(folder)
    say("Milvus Lite starts")
    spec = services.ServiceSpec(
        name=f"Milvus Lite {folder.name}",
        command=(
            sys.executable, "-m", "mlinfra_local.milvus_server",
            "--data-dir", str(folder / "data"), "--host", services.HOST, "--port", "{port}",
            "--database", str(database or "default"),
        ),
        port=int(pinned or marker.get("last_port") or 0),
        any_port=not pinned,
        health=services.answers_tcp(),
    )  # fmt: skip
    _mark(folder, {**marker, "port": pinned, "database": database})
    try:
        service = services.start(folder, spec, timeout=desired.timeout or 60.0)
    except Failure as failure:
        failure.partial = _read(folder)
        raise
    _mark(folder, {**_marker(folder), "last_port": service.port})
    found = _read(folder)
    assert found is not None
    return found


def _delete(folder: Path) -> None:
    services.stop(folder)
    if folder.exists():
        discard(folder)


def _collections(folder: Path) -> int:
    """Counted on disk: Lite keeps a folder with a schema for every collection."""
    data = folder / "data"
    return sum(
        1 for pattern in ("collections/*/schema.json", "databases/*/collections/*/schema.json") for _ in data.glob(pattern)
    )


async def _following(file: Path) -> AsyncIterator[str]:
    with file.open(errors="replace") as log:
        log.seek(0, 2)
        line = ""
        while True:
            line += log.readline()
            if line.endswith("\n"):
                yield line.rstrip("\n")
                line = ""
            else:
                await asyncio.sleep(_POLL)
