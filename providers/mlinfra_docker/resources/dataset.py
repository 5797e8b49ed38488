"""``docker.dataset``: versions of files in a volume, each below the digest of its bytes.

``datasets/NAME/DIGEST/`` in the volume holds one version; ``dataset.json`` beside them says whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider import datasets, files
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra_docker import volume_store as store
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.volumes import MOUNTED, Helper

_MARKER = "dataset.json"


def _uri(attributes: Mapping[str, Value]) -> str:
    path = f"{_parent(attributes['name'])}/{store.short(attributes['version'])}"
    file = attributes.get("file")
    return volumes.uri(attributes["bucket"], f"{path}/{file}" if file else path)


def _parent(name: str) -> str:
    return f"datasets/{name}"


def _predict(attributes: Map) -> Mapping[str, Value]:
    return datasets.predicted(attributes, _uri)


class Dataset:
    """``version`` is the digest that the source had when the plan was made; a version that is kept needs no source, so a
    rollback works when the source has moved on. Old versions stay beside the new one (at most ``keep`` of them)."""

    schema = Schema(
        attributes=datasets.attributes(holder="the volume that holds it", folder="the folder's name"),
        predict=_predict,
        holds_data=True,
        inside=("bucket",),
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        return await client.run(_write, client, desired, token)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await client.run(_write, client, desired, None)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded.id)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        return await client.run(_find, client, desired, token)

    async def adopt(self, client: DockerClient, id: str) -> Observed | None:
        return await client.run(_adopt, client, id)

    async def stake(self, client: DockerClient, recorded: ResourceState) -> str:
        return datasets.stake(len(await client.run(_kept, client, recorded.id)))


def _place(client: DockerClient, id: str) -> tuple[Helper, str, str] | None:
    """The helper, the volume, the dataset's folder inside it; None when there is no such volume."""
    bucket, _, name = id.partition("/")
    if not name or "/" in name or name.startswith("."):
        raise Invalid(f"{id!r} is no dataset; write it as VOLUME/NAME")
    try:
        return volumes.helper(client, bucket), bucket, _parent(name)
    except NotFound:
        return None


def _marker(helper: Helper, bucket: str, parent: str) -> dict[str, Any]:
    try:
        found = json.loads(helper.read(f"{MOUNTED}/{bucket}/{parent}/{_MARKER}") or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(client: DockerClient, id: str, known: Map) -> Observed | None:
    """The version that ``known`` names, as it stands: when its bytes changed, ``version`` is what they are now."""
    place = _place(client, id)
    stored = None if place is None else store.check(*place, known["version"])
    if stored is None:
        return None
    at_place = {**known, "id": datasets.id_of(known), "uri": _uri(known)}
    return Observed(at_place["id"], Map({**at_place, "version": stored.digest, "size": stored.size}))


def _write(client: DockerClient, desired: Desired, token: str | None) -> Observed:
    wanted = desired.attributes
    place = _place(client, datasets.id_of(wanted))
    if place is None:
        raise NotFound(f"the engine has no volume {wanted['bucket']}", path=("bucket",))
    helper, bucket, parent = place
    marker = _marker(*place)
    if token is not None:
        datasets.refuse_foreign(marker, desired, "volume")
    _store(client, place, wanted)
    op = marker.get("op", "") if token is None else token
    fields = {"op": op, "address": desired.address, **{k: wanted[k] for k in ("version", "file", "source") if k in wanted}}
    helper.write(f"{MOUNTED}/{bucket}/{parent}/{_MARKER}", json.dumps(fields).encode())
    if wanted.get("keep") is not None:
        for name in datasets.surplus(store.kept(*place), store.short(wanted["version"]), wanted["keep"]):
            store.drop(*place, name)
    found = _read(client, datasets.id_of(wanted), wanted)
    if found is None:
        raise NotFound(f"{datasets.id_of(wanted)} was deleted while it was being written")
    return found


def _store(client: DockerClient, place: tuple[Helper, str, str], wanted: Map) -> None:
    kept = store.check(*place, wanted["version"])
    if kept is not None and kept.digest == wanted["version"]:
        return
    source = wanted["source"]
    try:
        selected = files.select(client.base, source)
    except OSError as error:
        raise Invalid(f"the source {source} cannot be read: {error.strerror}", path=("source",)) from error
    say(f"copying {len(selected):,} file{'s' if len(selected) != 1 else ''}")
    store.keep_files(*place, selected, wanted["version"], what=f"the source {source}")


def _delete(client: DockerClient, id: str) -> None:
    place = _place(client, id)
    if place is not None:
        helper, bucket, parent = place
        helper.run('rm -rf "$1"; rmdir "${1%/*}" 2>/dev/null || true', f"{MOUNTED}/{bucket}/{parent}")


def _find(client: DockerClient, desired: Desired, token: str) -> Observed | None:
    place = _place(client, datasets.id_of(desired.attributes))
    marker = {} if place is None else _marker(*place)
    if place is not None and not marker:  # what a kill left of a copy
        _delete(client, datasets.id_of(desired.attributes))
    if marker.get("op") != token:
        return None
    return _read(client, datasets.id_of(desired.attributes), desired.attributes)


def _adopt(client: DockerClient, id: str) -> Observed | None:
    place = _place(client, id)
    marker = {} if place is None else _marker(*place)
    bucket, _, name = id.partition("/")
    known: dict[str, Value] = {k: marker[k] for k in ("version", "file", "source") if k in marker}
    known |= {"bucket": bucket, "name": name}
    return _read(client, id, Map(known)) if "version" in known else None


def _kept(client: DockerClient, id: str) -> list[str]:
    place = _place(client, id)
    return [] if place is None else store.kept(*place)
