"""``azure.text_files``: a few short texts below the digest of their content in a container: what Azure builds an image from."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value, is_known
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra.provider.naming import digest_of
from mlinfra_azure.client import AzureClient

_OWNER = ".mlinfra.json"


def _folder(files: Value) -> str:
    return f"files/{digest_of(files, 16)}"


def _predict(attributes: Map) -> Mapping[str, Value]:
    container, files = attributes.get("container"), attributes.get("files")
    return {"uri": f"{container}/{_folder(files)}/"} if isinstance(container, str) and is_known(files) else {}


class TextFiles:
    """``uri`` is the folder. Other texts lie in another folder."""

    schema = Schema(
        attributes={
            "container": Attribute(type="string", required=True, immutable=True, source="where they lie"),
            "files": Attribute(type="map", required=True, immutable=True, source="their folder is named by their content"),
            "uri": Attribute(type="string", computed=True),
        },
        predict=_predict,
        inside=("container",),
        create_first=True,
    )

    async def read(self, client: AzureClient, recorded: ResourceState) -> Observed | None:
        known = recorded.attributes
        found: dict[str, Value] = {}
        for name in known["files"]:
            try:
                raw = await client.download(str(known["container"]), f"{_folder(known['files'])}/{name}")
            except NotFound:
                return None
            if raw is not None:
                found[name] = raw.decode(errors="replace")
        return Observed(recorded.id, Map({**known, "files": Map(found)})) if found else None

    async def create(self, client: AzureClient, desired: Desired, token: str) -> Observed:
        container, files = str(desired.attributes["container"]), desired.attributes["files"]
        held = await _operation(client, container, files)
        if held not in ("", token):
            uri = f"{container}/{_folder(files)}/"
            raise AlreadyExists(f"there are these files already at {uri}", import_id=uri)
        await client.upload(container, f"{_folder(files)}/{_OWNER}", json.dumps({"op": token}).encode())
        for name, text in files.items():
            await client.upload(container, f"{_folder(files)}/{name}", str(text).encode(), content_type="text/plain")
        return _observed(container, files)

    async def update(self, client: AzureClient, recorded: ResourceState, desired: Desired) -> Observed:
        return Observed(recorded.id, desired.attributes)

    async def delete(self, client: AzureClient, recorded: ResourceState) -> None:
        container = str(recorded.attributes["container"])
        try:
            await client.remove_objects(container, recorded.id.removeprefix(f"{container}/"))
        except NotFound:
            return

    async def find(self, client: AzureClient, desired: Desired, token: str) -> Observed | None:
        container, files = str(desired.attributes["container"]), desired.attributes["files"]
        if await _operation(client, container, files) != token:
            return None
        return await self.create(client, desired, token)  # what a crash cut off is finished

    async def adopt(self, client: AzureClient, id: str) -> Observed | None:
        container, separator, folder = id.rstrip("/").partition("/files/")
        if not separator:
            raise Invalid(
                f"{id!r} is no folder of files; write it as https://ACCOUNT.blob.core.windows.net/CONTAINER/files/DIGEST/"
            )
        found: dict[str, Value] = {}
        for name in await client.objects(container, f"files/{folder}/"):
            raw = await client.download(container, name)
            if raw is not None and not name.endswith(_OWNER):
                found[name.rpartition("/")[2]] = raw.decode(errors="replace")
        return _observed(container, Map(found)) if found else None


async def _operation(client: AzureClient, container: str, files: Map) -> str:
    """Which operation made the folder; nothing: none."""
    try:
        raw = await client.download(container, f"{_folder(files)}/{_OWNER}")
    except NotFound:
        return ""
    return "" if raw is None else str(json.loads(raw)["op"])


def _observed(container: str, files: Map) -> Observed:
    uri = f"{container}/{_folder(files)}/"
    return Observed(uri, Map(container=container, files=files, uri=uri))
