"""``gcp.dataset``: versions of files in a bucket, each below the digest of its bytes, with a manifest.

``datasets/NAME/DIGEST/…`` holds one version, ``datasets/NAME/DIGEST.json`` its manifest, ``datasets/NAME.json`` says whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider import datasets
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra_gcp.client import GcpClient

_FIELDS = ("version", "size", "file", "source")


def _short(attributes: Mapping[str, Value]) -> str:
    return str(attributes["version"]).removeprefix("sha256:")[:16]


def _folder(attributes: Mapping[str, Value]) -> str:
    return f"datasets/{attributes['name']}/{_short(attributes)}"


def _uri(attributes: Mapping[str, Value]) -> str:
    place = f"gs://{attributes['bucket']}/{_folder(attributes)}"
    return f"{place}/{attributes['file']}" if attributes.get("file") else place


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": "whole", **datasets.predicted(attributes, _uri)}


class Dataset:
    """``version`` is the digest that the source had when the plan was made. A version that is in the bucket needs no source, so
    that a rollback works when the source has moved on. ``keep`` bounds how many old ones stay. ``status``: ``whole``, or
    ``damaged`` when objects are gone or are other bytes."""

    schema = Schema(
        attributes={
            **datasets.attributes(holder="the bucket that holds it", folder="its folder in the bucket"),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
        inside=("bucket",),
    )

    async def read(self, client: GcpClient, recorded: ResourceState) -> Observed | None:
        return await _read(client, recorded.attributes)

    async def create(self, client: GcpClient, desired: Desired, token: str) -> Observed:
        return await _write(client, desired, token)

    async def update(self, client: GcpClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await _write(client, desired, None)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        bucket, _, name = recorded.id.partition("/")
        try:
            await client.remove_objects(bucket, f"datasets/{name}/")
            await client.remove_objects(bucket, f"datasets/{name}.json")
        except NotFound:
            return

    async def find(self, client: GcpClient, desired: Desired, token: str) -> Observed | None:
        owner = await _owner(client, desired.attributes)
        return None if owner is None or owner.get("op") != token else await _read(client, desired.attributes)

    async def adopt(self, client: GcpClient, id: str) -> Observed | None:
        bucket, separator, name = id.partition("/")
        if not separator or "/" in name:
            raise Invalid(f"{id!r} is no dataset; write it as BUCKET/NAME")
        known = {"bucket": bucket, "name": name}
        owner = await _owner(client, known)
        return None if owner is None else await _read(client, Map({**known, **{k: owner[k] for k in _FIELDS if k in owner}}))

    async def stake(self, client: GcpClient, recorded: ResourceState) -> str:
        return datasets.stake(len(await _kept(client, recorded.attributes)))


async def _owner(client: GcpClient, attributes: Mapping[str, Value]) -> dict[str, Any] | None:
    raw = await client.download(str(attributes["bucket"]), f"datasets/{attributes['name']}.json")
    return None if raw is None else dict(json.loads(raw))


async def _kept(client: GcpClient, attributes: Mapping[str, Value]) -> list[str]:
    prefix = f"datasets/{attributes['name']}/"
    try:
        names = await client.objects(str(attributes["bucket"]), prefix)
    except NotFound:
        return []
    return [n.removesuffix(".json") for n in names if n.endswith(".json") and "/" not in n[len(prefix) :]]


async def _whole(client: GcpClient, attributes: Mapping[str, Value]) -> bool:
    bucket, folder = str(attributes["bucket"]), _folder(attributes)
    manifest = await client.download(bucket, f"{folder}.json")
    if manifest is None:
        return False
    there = await client.objects(bucket, folder + "/")
    return bool({n.removeprefix(folder + "/"): list(v) for n, v in there.items()} == json.loads(manifest)["files"])


async def _read(client: GcpClient, known: Map) -> Observed | None:
    owner = await _owner(client, known)
    if owner is None:
        return None
    at_place: dict[str, Value] = {**known, **{k: owner[k] for k in ("version", "size", "file") if k in owner}}
    status = "whole" if await _whole(client, at_place) else "damaged"
    return Observed(
        datasets.id_of(known), Map({**at_place, "id": datasets.id_of(known), "uri": _uri(at_place), "status": status})
    )


async def _write(client: GcpClient, desired: Desired, token: str | None) -> Observed:
    wanted = desired.attributes
    bucket, folder = str(wanted["bucket"]), _folder(wanted)
    owner = await _owner(client, wanted) or {}
    if token is not None:
        datasets.refuse_foreign(owner, desired, "bucket")
    if not await _whole(client, wanted):
        selected = datasets.source_files(client.base, wanted)
        say(f"uploading {len(selected):,} file{'s' if len(selected) != 1 else ''}")
        for file in selected:
            await client.upload(bucket, f"{folder}/{file.name}", file.path)
        there = await client.objects(bucket, folder + "/")
        listed = {n.removeprefix(folder + "/"): v for n, v in there.items()}
        manifest = {"version": wanted["version"], "files": {f.name: listed[f.name] for f in selected}}
        await client.upload(bucket, f"{folder}.json", json.dumps(manifest).encode(), content_type="application/json")
    fields = {"op": owner.get("op", "") if token is None else token, "address": desired.address}
    fields |= {k: wanted[k] for k in _FIELDS if wanted.get(k) is not None}
    await client.upload(bucket, f"datasets/{wanted['name']}.json", json.dumps(fields).encode(), content_type="application/json")
    if wanted.get("keep") is not None:
        for name in datasets.surplus(await _kept(client, wanted), folder, wanted["keep"]):
            await client.remove_objects(bucket, f"{name}/")
            await client.remove_objects(bucket, f"{name}.json")
    return Observed(datasets.id_of(wanted), Map({**wanted, "id": datasets.id_of(wanted), "uri": _uri(wanted), "status": "whole"}))
