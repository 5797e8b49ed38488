"""``local.dataset``: versions of files in a bucket's directory, each below the digest of its bytes.

``buckets/BUCKET/datasets/NAME/DIGEST/`` holds one version; ``dataset.json`` beside them says whose they are.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider import datasets, files
from mlinfra.provider.failures import Failure, Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import store
from mlinfra_local.execution.scratch import clean, remove_empty, scratch, write_atomically

_MARKER = "dataset.json"


def _uri(attributes: Mapping[str, Value]) -> str:
    place = f"local://buckets/{attributes['bucket']}/datasets/{attributes['name']}/{store.short(attributes['version'])}"
    return f"{place}/{attributes['file']}" if attributes.get("file") else place


def _predict(attributes: Map) -> Mapping[str, Value]:
    return datasets.predicted(attributes, _uri)


class Dataset:
    """``version`` is the digest that the source had when the plan was made; a version that is kept needs no source, so a
    rollback works when the source has moved on. Old versions stay beside the new one (at most ``keep`` of them)."""

    schema = Schema(
        attributes=datasets.attributes(holder="the directory that holds it", folder="the directory's name"),
        predict=_predict,
        holds_data=True,
        inside=("bucket",),
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, _folder(client, recorded.id), recorded.attributes)

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(_write, client, desired, token)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await asyncio.to_thread(_write, client, desired, None)

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        folder = _folder(client, recorded.id)
        await asyncio.to_thread(client.discard, folder)
        remove_empty(folder.parent)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        folder = _folder(client, datasets.id_of(desired.attributes))
        await asyncio.to_thread(clean, folder)
        if _marker(folder).get("op") != token:
            return None
        return await asyncio.to_thread(_read, folder, desired.attributes)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        folder = _folder(client, id)
        marker = _marker(folder)
        bucket, _, name = id.partition("/")
        known: dict[str, Value] = {k: marker[k] for k in ("version", "file", "source") if k in marker}
        known |= {"bucket": bucket, "name": name}
        return await asyncio.to_thread(_read, folder, Map(known)) if "version" in known else None

    async def stake(self, client: LocalClient, recorded: ResourceState) -> str:
        folder = _folder(client, recorded.id)
        return datasets.stake(len(await asyncio.to_thread(store.kept, folder)))


def _folder(client: LocalClient, id: str) -> Path:
    bucket, separator, name = id.partition("/")
    if not (bucket and separator and name) or "/" in name:
        raise Invalid(f"{id!r} is no dataset; write it as BUCKET/NAME")
    return client.folder("buckets", f"{bucket}/datasets/{name}")


def _marker(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _MARKER).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _read(folder: Path, known: Map) -> Observed | None:
    """The version that ``known`` names, as it stands: when its bytes changed, ``version`` is what they are now."""
    stored = store.check(folder, known["version"])
    if stored is None:
        return None
    at_place = {**known, "id": datasets.id_of(known), "uri": _uri(known)}
    return Observed(at_place["id"], Map({**at_place, "version": stored.digest, "size": stored.size}))


def _write(client: LocalClient, desired: Desired, token: str | None) -> Observed:
    wanted = desired.attributes
    folder = _folder(client, datasets.id_of(wanted))
    if not folder.parents[1].is_dir():
        raise NotFound(f"there is no bucket {wanted['bucket']} on this machine", path=("bucket",))
    marker = _marker(folder)
    if token is not None:
        datasets.refuse_foreign(marker, desired, "bucket")
    try:
        _store(client, folder, wanted)
        op = marker.get("op", "") if token is None else token
        fields = {"op": op, "address": desired.address, **{k: wanted[k] for k in ("version", "file", "source") if k in wanted}}
        write_atomically(folder / _MARKER, json.dumps(fields))
        if wanted.get("keep") is not None:
            for name in datasets.surplus(store.kept(folder), store.short(wanted["version"]), wanted["keep"]):
                store.drop(folder, name)
    except OSError as error:
        raise Failure(f"the dataset cannot be written: {error}") from error
    found = _read(folder, wanted)
    assert found is not None
    return found


def _store(client: LocalClient, folder: Path, wanted: Map) -> None:
    kept = store.check(folder, wanted["version"])
    if kept is not None and kept.digest == wanted["version"]:
        return
    source = wanted["source"]
    try:
        selected = files.select(client.base, source)
    except OSError as error:
        raise Invalid(f"the source {source} cannot be read: {error.strerror}", path=("source",)) from error
    say(f"copying {len(selected):,} file{'s' if len(selected) != 1 else ''}")
    with scratch(folder) as temporary:
        store.copy(folder, selected, wanted["version"], temporary.folder / "version", what=f"the source {source}")
