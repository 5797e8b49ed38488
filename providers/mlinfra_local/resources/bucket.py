"""``local.bucket``: a directory, marked as ours by a file inside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra_local.client import LocalClient

MARKER = ".mlinfra-bucket.json"
"""Holds the bucket's settings and the operation that made it: how a bucket is known to be ours."""


def _predict(attributes: Map) -> Mapping[str, Value]:
    name = attributes.get("name")
    return {"uri": f"local://buckets/{name}"} if isinstance(name, str) else {}


class Bucket:
    """A directory ``buckets/NAME`` below the data folder. ``uri`` is ``local://buckets/NAME``: it does not depend on where
    the spec was cloned to."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the directory's name"),
            "versioning": Attribute(type="boolean"),
            "force_destroy": Attribute(type="boolean"),
            "uri": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client.folder("buckets", recorded.id))

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        folder = client.folder("buckets", str(desired.attributes["name"]))
        return await asyncio.to_thread(_create, client, folder, desired.attributes, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        folder = client.folder("buckets", recorded.id)
        return await asyncio.to_thread(_write, folder, desired.attributes, _marker(folder).get("op", ""))

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client, client.folder("buckets", recorded.id), recorded.attributes)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        client.discard(_unborn(client, token))
        folder = client.folder("buckets", str(desired.attributes["name"]))
        return await asyncio.to_thread(lambda: _read(folder) if _marker(folder).get("op") == token else None)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        folder = client.folder("buckets", id)
        return await asyncio.to_thread(_adopt, folder)

    async def stake(self, client: LocalClient, recorded: ResourceState) -> str:
        folder = client.folder("buckets", recorded.id)
        count = await asyncio.to_thread(lambda: len(_files(folder)))
        return f"{count:,} file{'s' if count != 1 else ''}" if count else ""


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and p.name != MARKER]


def _marker(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MARKER).read_text()))
    except (OSError, ValueError):
        return {}


def _read(folder: Path) -> Observed | None:
    if not folder.is_dir():
        return None
    found = _marker(folder)
    settings: dict[str, Value] = {k: found[k] for k in ("versioning", "force_destroy") if k in found}
    return Observed(folder.name, Map({**settings, "name": folder.name, "uri": f"local://buckets/{folder.name}"}))


def _write(folder: Path, attributes: Map, op: object) -> Observed:
    settings: dict[str, Value] = {k: attributes[k] for k in ("versioning", "force_destroy") if k in attributes}
    temporary = folder / (MARKER + ".new")
    temporary.write_text(json.dumps({**settings, "op": op}))
    temporary.replace(folder / MARKER)
    found = _read(folder)
    assert found is not None
    return found


def _adopt(folder: Path) -> Observed | None:
    """Marks the directory as ours; what an earlier marker says of it stays."""
    if not folder.is_dir():
        return None
    found = _marker(folder)
    return _write(folder, Map({k: v for k, v in found.items() if k != "op"}), found.get("op", ""))


def _unborn(client: LocalClient, token: str) -> Path:
    """Where a bucket is until it carries its marker."""
    return client.folder("buckets", f".{token}.new")


def _create(client: LocalClient, folder: Path, attributes: Map, token: str) -> Observed:
    if folder.exists():
        if _marker(folder).get("op") != token:
            raise AlreadyExists(f"the directory {folder} exists and is not ours", import_id=folder.name)
        return _write(folder, attributes, token)
    unborn = _unborn(client, token)
    unborn.mkdir(parents=True, exist_ok=True)
    _write(unborn, attributes, token)
    unborn.rename(folder)
    found = _read(folder)
    assert found is not None
    return found


def _delete(client: LocalClient, folder: Path, attributes: Map) -> None:
    if not folder.exists():
        return
    if not attributes.get("force_destroy", True) and _files(folder):
        raise Invalid(
            f"the bucket {folder.name} still holds {len(_files(folder)):,} files",
            hint="set force_destroy: true and apply, or empty it yourself",
        )
    client.discard(folder)
