"""A dataset in a cloud's blobs: versions of files, each below the digest of its bytes, with a manifest.

``datasets/NAME/DIGEST/…`` holds one version, ``datasets/NAME/DIGEST.json`` its manifest, ``datasets/NAME.json`` says whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider import datasets
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra.provider.runs.kept import Store

_FIELDS = ("version", "size", "file", "source")


class StoredDataset:
    """``version`` is the digest that the source had when the plan was made. A version that is in the bucket needs no source, so
    that a rollback works when the source has moved on. ``keep`` bounds how many old ones stay. ``status``: ``whole``, or
    ``damaged`` when blobs are gone or are other bytes. ``scheme`` stands before the bucket in a URI (``gs://``)."""

    scheme = ""
    schema = Schema(
        attributes={
            **datasets.attributes(holder="the bucket that holds it", folder="its folder in the bucket"),
            "status": Attribute(type="string", computed=True),
        },
        holds_data=True,
        inside=("bucket",),
    )

    def __init__(self) -> None:
        self.schema = replace(type(self).schema, predict=self._predict)

    async def read(self, client: Store, recorded: ResourceState) -> Observed | None:
        return await self._read(client, recorded.attributes)

    async def create(self, client: Store, desired: Desired, token: str) -> Observed:
        return await self._write(client, desired, token)

    async def update(self, client: Store, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._write(client, desired, None)

    async def delete(self, client: Store, recorded: ResourceState) -> None:
        bucket, _, name = recorded.id.rpartition("/")
        try:
            await client.remove_objects(bucket, f"datasets/{name}/")
            await client.remove_objects(bucket, f"datasets/{name}.json")
        except NotFound:
            return

    async def find(self, client: Store, desired: Desired, token: str) -> Observed | None:
        owner = await _owner(client, desired.attributes)
        return None if owner is None or owner.get("op") != token else await self._read(client, desired.attributes)

    async def adopt(self, client: Store, id: str) -> Observed | None:
        bucket, separator, name = id.rpartition("/")
        if not separator or bucket.endswith("/"):
            raise Invalid(f"{id!r} is no dataset; write it as BUCKET/NAME")
        known = {"bucket": bucket, "name": name}
        owner = await _owner(client, known)
        return None if owner is None else await self._read(client, Map({**known, **{k: owner[k] for k in _FIELDS if k in owner}}))

    async def stake(self, client: Store, recorded: ResourceState) -> str:
        return datasets.stake(len(await _kept(client, recorded.attributes)))

    def _uri(self, attributes: Mapping[str, Value]) -> str:
        place = f"{self.scheme}{attributes['bucket']}/{_folder(attributes)}"
        return f"{place}/{attributes['file']}" if attributes.get("file") else place

    def _predict(self, attributes: Map) -> Mapping[str, Value]:
        return {"status": "whole", **datasets.predicted(attributes, self._uri)}

    def _seen(self, attributes: Mapping[str, Value], status: str) -> Observed:
        id = datasets.id_of(attributes)
        return Observed(id, Map({**attributes, "id": id, "uri": self._uri(attributes), "status": status}))

    async def _read(self, client: Store, known: Map) -> Observed | None:
        owner = await _owner(client, known)
        if owner is None:
            return None
        at_place: dict[str, Value] = {**known, **{k: owner[k] for k in ("version", "size", "file") if k in owner}}
        return self._seen(at_place, "whole" if await _whole(client, at_place) else "damaged")

    async def _write(self, client: Store, desired: Desired, token: str | None) -> Observed:
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
        marker = f"datasets/{wanted['name']}.json"
        await client.upload(bucket, marker, json.dumps(fields).encode(), content_type="application/json")
        if wanted.get("keep") is not None:
            for name in datasets.surplus(await _kept(client, wanted), folder, wanted["keep"]):
                await client.remove_objects(bucket, f"{name}/")
                await client.remove_objects(bucket, f"{name}.json")
        return self._seen(wanted, "whole")


def _folder(attributes: Mapping[str, Value]) -> str:
    return f"datasets/{attributes['name']}/{str(attributes['version']).removeprefix('sha256:')[:16]}"


async def _owner(client: Store, attributes: Mapping[str, Value]) -> dict[str, Any] | None:
    try:
        raw = await client.download(str(attributes["bucket"]), f"datasets/{attributes['name']}.json")
    except NotFound:
        return None
    return None if raw is None else dict(json.loads(raw))


async def _kept(client: Store, attributes: Mapping[str, Value]) -> list[str]:
    prefix = f"datasets/{attributes['name']}/"
    try:
        names = await client.objects(str(attributes["bucket"]), prefix)
    except NotFound:
        return []
    return [n.removesuffix(".json") for n in names if n.endswith(".json") and "/" not in n[len(prefix) :]]


async def _whole(client: Store, attributes: Mapping[str, Value]) -> bool:
    bucket, folder = str(attributes["bucket"]), _folder(attributes)
    manifest = await client.download(bucket, f"{folder}.json")
    if manifest is None:
        return False
    there = await client.objects(bucket, folder + "/")
    return bool({n.removeprefix(folder + "/"): list(v) for n, v in there.items()} == json.loads(manifest)["files"])
