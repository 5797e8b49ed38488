"""``aws.dataset``: versions of files in a bucket, each below the digest of its bytes, with a manifest.

``datasets/NAME/DIGEST/…`` holds one version, ``datasets/NAME/DIGEST.json`` its manifest, ``datasets/NAME.json`` says whose they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider import datasets
from mlinfra.provider.failures import NotFound
from mlinfra_aws import objects
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place

WHOLE = "whole"
_SHORT = 16


def _version(attributes: Mapping[str, Value]) -> Place:
    digest = str(attributes["version"]).removeprefix("sha256:")[:_SHORT]
    return Place(str(attributes["bucket"]), f"datasets/{attributes['name']}/{digest}")


def _owner(attributes: Mapping[str, Value]) -> Place:
    return Place(str(attributes["bucket"]), f"datasets/{attributes['name']}.json")


def _uri(attributes: Mapping[str, Value]) -> str:
    place = _version(attributes)
    return place.below(str(attributes["file"])).uri if attributes.get("file") else place.uri


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": WHOLE, **datasets.predicted(attributes, _uri)}


class Dataset:
    """``version`` is the digest that the source had when the plan was made. A version that is in the bucket needs no source, so that a rollback
    works when the source has moved on. ``keep`` bounds how many old versions stay. ``status``: ``whole``, or ``damaged`` when objects are gone."""

    schema = Schema(
        attributes={
            **datasets.attributes(holder="the bucket that holds it", folder="its folder in the bucket"),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        holds_data=True,
        inside=("bucket",),
    )

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.attributes)

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await client.run(_write, client, desired, token)

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        return await client.run(_write, client, desired, None)

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded.attributes)

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        def look() -> Observed | None:
            owner = objects.get_json(client, _owner(desired.attributes))
            return None if owner is None or owner.get("op") != token else _read(client, desired.attributes)

        return await client.run(look)

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        def take() -> Observed | None:
            bucket, _, name = id.partition("/")
            known = {"bucket": bucket, "name": name}
            owner = objects.get_json(client, _owner(known))
            return None if owner is None else _read(client, Map({**known, **_fields(owner)}))

        return await client.run(take)

    async def stake(self, client: Aws, recorded: ResourceState) -> str:
        def count() -> int:
            return len(_kept(client, recorded.attributes))

        return datasets.stake(await client.run(count))


def _fields(owner: Mapping[str, Any]) -> dict[str, Any]:
    return {k: owner[k] for k in ("version", "size", "file", "source") if k in owner}


def _kept(client: Aws, attributes: Mapping[str, Value]) -> list[str]:
    """The keys' prefixes of the versions that are whole, oldest first."""
    prefix = f"datasets/{attributes['name']}/"
    try:
        rows = client.listed("s3", "ListObjectsV2", "Contents", Bucket=attributes["bucket"], Prefix=prefix)
    except NotFound:
        return []
    manifests = [r for r in rows if r["Key"].endswith(".json") and "/" not in r["Key"][len(prefix) :]]
    return [r["Key"].removesuffix(".json") for r in sorted(manifests, key=lambda r: r["LastModified"])]


def _read(client: Aws, known: Map) -> Observed | None:
    owner = objects.get_json(client, _owner(known))
    if owner is None:
        return None
    at_place = {**known, **{k: v for k, v in _fields(owner).items() if k != "source"}}
    status = WHOLE if objects.is_whole(client, _version(at_place)) else "damaged"
    return Observed(
        datasets.id_of(known), Map({**at_place, "id": datasets.id_of(known), "uri": _uri(at_place), "status": status})
    )


def _write(client: Aws, desired: Desired, token: str | None) -> Observed:
    wanted = desired.attributes
    owner = objects.get_json(client, _owner(wanted)) or {}
    if token is not None:
        datasets.refuse_foreign(owner, desired, "bucket")
    version = _version(wanted)
    if not objects.is_whole(client, version):
        objects.upload(client, version, datasets.source_files(client.base, wanted), {"version": wanted["version"]})
    op = owner.get("op", "") if token is None else token
    fields = {k: wanted[k] for k in ("version", "size", "file", "source") if wanted.get(k) is not None}
    objects.put_json(client, _owner(wanted), {"op": op, "address": desired.address, **fields})
    if wanted.get("keep") is not None:
        for key in datasets.surplus(_kept(client, wanted), version.key, wanted["keep"]):
            objects.delete_below(client, Place(version.bucket, key))
            objects.delete(client, version.bucket, (f"{key}.json",))
    return Observed(datasets.id_of(wanted), Map({**wanted, "id": datasets.id_of(wanted), "uri": _uri(wanted), "status": WHOLE}))


def _delete(client: Aws, attributes: Map) -> None:
    objects.delete_below(client, Place(str(attributes["bucket"]), f"datasets/{attributes['name']}"))
    try:
        objects.delete(client, str(attributes["bucket"]), (_owner(attributes).key,))
    except NotFound:
        return
