"""``azure.registered_version``: a version of a registry's model, with its files, which the registry keeps in storage of its own.

Files come into it through a place that it gives for the version (``startPendingUpload``):
https://learn.microsoft.com/rest/api/azureml/registry-model-versions/create-or-get-start-pending-upload
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Value, is_known, thaw
from mlinfra.provider import ownership
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say
from mlinfra_azure import marks
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources.work import VERSION, split_uri

_DIGEST = "mlinfra-digest"
_FIXED = "a version's content never changes"


def digest_of(attributes: Mapping[str, Any]) -> str:
    """The version's content: a local folder's digest, that in the URI of a run's output, or one of the URI or image itself."""
    source, uri = attributes.get("source"), attributes.get("copy_of")
    if isinstance(source, Mapping):
        return str(source["digest"])
    if isinstance(uri, str) and "/content/" in uri:
        return "sha256:" + uri.rpartition("/content/")[2].strip("/").partition("/")[0]
    return "sha256:" + hashlib.sha256(str(uri or attributes.get("image")).encode()).hexdigest()


def _version(attributes: Mapping[str, Any]) -> str:
    return f"{attributes['key']}-{digest_of(attributes).removeprefix('sha256:')[:12]}"


def _predict(attributes: Map) -> Mapping[str, Value]:
    if any(not is_known(attributes.get(n)) for n in ("source", "copy_of", "image")):
        return {}
    known: dict[str, Value] = {"digest": digest_of(attributes), "version": _version(attributes)}
    model = attributes.get("model")
    return {**known, "id": f"{model}/versions/{known['version']}"} if isinstance(model, str) else known


class RegisteredVersion:
    """One of ``source`` (a folder of this machine), ``copy_of`` (a folder of blobs) and ``image`` (noted down) says what it is; ``key`` is its
    name in the spec. ``version`` is its name in the registry, with a digest: other content is another version, beside this one."""

    schema = Schema(
        attributes={
            "model": Attribute(type="string", required=True, immutable=True, source="the model whose version it is"),
            "key": Attribute(type="string", required=True, immutable=True, source="a part of the version's name"),
            "source": Attribute(type="map", immutable=True, source=_FIXED),
            "copy_of": Attribute(type="string", immutable=True, source=_FIXED),
            "image": Attribute(type="string", immutable=True, source=_FIXED),
            "description": Attribute(type="string"),
            "tags": Attribute(type="map"),
            "id": Attribute(type="string", computed=True),
            "version": Attribute(type="string", computed=True),
            "digest": Attribute(type="string", computed=True),
            "uri": Attribute(type="string", computed=True),
        },
        predict=_predict,
        inside=("model",),
        create_first=True,
    )

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        body = await client.get(recorded.id, VERSION)
        return None if body is None else _observed(client, recorded.id, body, recorded.attributes)

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        id = f"{wanted['model']}/versions/{_version(wanted)}"
        if await client.get(id, VERSION) is not None:
            raise AlreadyExists(f"there is a version {_version(wanted)} of {_name(wanted)} already", import_id=id)
        uri = await self._filled(client, wanted, id)
        body = _body(client, wanted, uri, client.owner(desired.address, token).marks(marks.tag_value))
        return _observed(client, id, await client.put(id, VERSION, body, what=f"registering {_version(wanted)}"), wanted)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        there = await client.get(recorded.id, VERSION) or {"properties": {}}
        owner = marks.own(there["properties"].get("tags") or {})
        body = _body(client, desired.attributes, str(recorded.attributes["uri"]), owner)
        return _observed(client, recorded.id, await client.put(recorded.id, VERSION, body), desired.attributes)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        await client.delete(recorded.id, VERSION)

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        wanted = desired.attributes
        id = f"{wanted['model']}/versions/{_version(wanted)}"
        body = await client.get(id, VERSION)
        if body is None or (body["properties"].get("tags") or {}).get(ownership.OPERATION) != token:
            return None
        return _observed(client, id, body, wanted)

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        model, separator, version = id.rpartition("/versions/")
        if not separator or "/models/" not in model:
            raise Invalid(f"{id!r} is no version of a model; write it as /subscriptions/…/registries/R/models/M/versions/V")
        body = await client.get(id, VERSION)
        if body is None:
            return None
        return _observed(client, id, body, Map(model=model, key=version.rpartition("-")[0] or version))

    async def _filled(self, client: AzureClient, wanted: Map, id: str) -> str:
        """The registry's place for this version, with the files in it."""
        asked = {"pendingUploadType": "TemporaryBlobReference"}
        answer = await client.post(id, "startPendingUpload", VERSION, asked, what="asking the registry for a place")
        place = answer["blobReferenceForConsumption"]
        blob, signed = str(place["blobUri"]).rstrip("/"), str((place.get("credential") or {}).get("sasUri") or place["blobUri"])
        container, _, folder = split_uri(blob)
        signature = signed.partition("?")[2]
        target = f"{container}?{signature}" if signature else container
        prefix = f"{folder}/" if folder else ""
        if wanted.get("source") is not None:
            path, digest = str(wanted["source"]["path"]), str(wanted["source"]["digest"])
            files = as_planned(client.base, path, digest, what=f"the model {path}", at=("source",))
            say(f"uploading {len(files):,} file{'s' if len(files) != 1 else ''}")
            for file in files:
                await client.upload(target, prefix + file.name, file.path)
        elif wanted.get("copy_of") is not None:
            await _copy(client, str(wanted["copy_of"]), target, prefix)
        else:
            await client.upload(target, f"{prefix}image.txt", str(wanted["image"]).encode(), content_type="text/plain")
        return blob


async def _copy(client: AzureClient, uri: str, target: str, prefix: str) -> None:
    source, _, folder = split_uri(uri)
    if not source:
        hint = "https://ACCOUNT.blob.core.windows.net/CONTAINER/FOLDER"
        raise Invalid(f"{uri} is no folder of blobs", path=("copy_of",), hint=hint)
    names = await client.objects(source, f"{folder}/")
    if not names:
        raise Invalid(f"there is nothing at {uri}", path=("copy_of",))
    say(f"copying {len(names):,} file{'s' if len(names) != 1 else ''} into the registry")
    for name in names:
        content = await client.download(source, name)
        if content is not None:
            await client.upload(target, prefix + name.removeprefix(f"{folder}/"), content)


def _name(wanted: Mapping[str, Any]) -> str:
    return str(wanted["model"]).rpartition("/")[2]


def _body(client: AzureClient, wanted: Map, uri: str, owner: Mapping[str, str]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "modelUri": uri,
        "modelType": "custom_model",
        "properties": {_DIGEST: digest_of(wanted)},
        "tags": {**client.config.tags, **thaw(wanted.get("tags") or EMPTY), **owner},
    }
    if wanted.get("description") is not None:
        properties["description"] = wanted["description"]
    return {"properties": properties}


def _observed(client: AzureClient, id: str, body: Mapping[str, Any], wanted: Mapping[str, Value]) -> Observed:
    found = body["properties"]
    tags = marks.others(found.get("tags") or {}, client.config.tags, wanted.get("tags") or EMPTY)
    known = {k: v for k, v in wanted.items() if k in ("model", "key", "source", "copy_of", "image")}
    seen: dict[str, Value] = {
        **known,
        "id": id,
        "version": id.rpartition("/")[2],
        "digest": str((found.get("properties") or {}).get(_DIGEST, "")),
        "uri": str(found.get("modelUri", "")),
        "description": found.get("description"),
        "tags": Map(tags) if tags or "tags" in wanted else None,
    }
    return Observed(id, Map({k: v for k, v in seen.items() if v is not None}))
