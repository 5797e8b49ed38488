"""``aws.run_code``: what the steps of a pipeline run, packed and in S3, below a digest of its content. Old archives stay: a schedule or a
rollback may still need them; they go with the bucket."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value, is_known
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra.provider.runs.given import requirements
from mlinfra_aws import objects, packing
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place


def _predict(attributes: Map) -> Mapping[str, Value]:
    found: dict[str, Value] = {"status": "ready"}
    if is_known(attributes) and not isinstance(attributes.get("requirements"), Mapping):
        try:
            run = packing.describe("processing", attributes["steps"], tuple(attributes.get("requirements") or ()))
        except Invalid:
            return found
        found["uri"] = Place(str(attributes["bucket"]), f"code/{packing.digest_of(attributes['code']['digest'], run)}").uri
    return found


class RunCode:
    """``uri`` is the folder of the archive."""

    schema = Schema(
        attributes={
            "bucket": Attribute(type="string", required=True, immutable=True, source="the bucket that holds it"),
            "code": Attribute(type="map", required=True),
            "steps": Attribute(type="map", required=True),
            "requirements": Attribute(type="any"),
            "uri": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        inside=("bucket",),
    )

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await client.run(_make, client, desired, token, True)

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        marker = await client.run(objects.get_json, client, _marker(recorded.id))
        return await client.run(_make, client, desired, (marker or {}).get("op", ""), False)

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        def drop() -> None:
            bucket = recorded.id.partition("/")[0]
            objects.delete_below(client, Place(bucket, "code"))

        await client.run(drop)

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        def look() -> Observed | None:
            id = f"{desired.attributes['bucket']}/code"
            marker = objects.get_json(client, _marker(id))
            return None if marker is None or marker.get("op") != token else _read(client, id, desired.attributes)

        return await client.run(look)


def _marker(id: str) -> Place:
    return Place(id.partition("/")[0], "code/current.json")


def _read(client: Aws, id: str, known: Map) -> Observed | None:
    marker = objects.get_json(client, _marker(id))
    if marker is None:
        return None
    place = objects.place_of(str(marker["uri"]))
    status = "ready" if objects.is_whole(client, place) else "missing"
    return Observed(id, Map({**known, "uri": place.uri, "status": status}))


def _make(client: Aws, desired: Desired, op: str, new: bool) -> Observed:
    wanted = desired.attributes
    id = f"{wanted['bucket']}/code"
    marker = objects.get_json(client, _marker(id)) or {}
    if new and marker.get("address", desired.address) != desired.address:
        raise AlreadyExists(f"the bucket {wanted['bucket']} holds the code of {marker['address']} already", path=("bucket",))
    run = packing.describe("processing", wanted["steps"], requirements(client.base, wanted.get("requirements")))
    place = packing.upload(client, str(wanted["bucket"]), wanted["code"], run)
    objects.put_json(client, _marker(id), {"op": op, "address": desired.address, "uri": place.uri})
    return Observed(id, Map({**wanted, "uri": place.uri, "status": "ready"}))
