"""What runs left: a record a step and fingerprint in the run's bucket, so that no run is done twice. Contents lie by their digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.model.values import Value
from mlinfra.provider.failures import AlreadyExists, NotFound
from mlinfra.provider.planned import as_planned
from mlinfra_gcp.client import GcpClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``outputs`` are URIs by name, ``digests`` those of their content."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


async def recall(client: GcpClient, bucket: str, name: str, run: str, steps: Iterable[str]) -> Outcome | None:
    """What a run of this name left; None when a step's record, or something that it wrote, is not there."""
    outputs: dict[str, str] = {}
    digests: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    try:
        for step in steps:
            raw = await client.download(bucket, f"results/{name}/{run}/{step}.json")
            if raw is None:
                return None
            record = json.loads(raw)
            outputs |= record["outputs"]
            digests |= record["digests"]
            metrics |= record["metrics"]
        for digest in digests.values():
            if not await client.objects(bucket, f"content/{digest.removeprefix('sha256:')}/"):
                return None
    except NotFound:
        return None
    return Outcome(outputs=outputs, digests=digests, metrics=metrics)


async def complaint(client: GcpClient, bucket: str, name: str, run: str, steps: Iterable[str]) -> str:
    """What a step that failed said of it."""
    for step in steps:
        raw = await client.download(bucket, f"results/{name}/{run}/{step}.failed")
        if raw is not None:
            return raw.decode()
    return ""


async def forget(client: GcpClient, bucket: str, name: str, run: str) -> None:
    """Take away what an earlier attempt at this run said."""
    await client.remove_objects(bucket, f"results/{name}/{run}/")


async def bring(client: GcpClient, bucket: str, name: str, given: Value) -> str:
    """The URI of an input: as it is, or of a local path whose content is uploaded first."""
    if not isinstance(given, Mapping):
        return str(given)
    uri = str(given.get("uri", given.get("path", "")))
    if "://" in uri:
        return uri
    version = str(given.get("digest", given.get("version")))
    selected = as_planned(client.base, uri, version, what=f"the input {name} ({uri})")
    folder = f"content/{version.removeprefix('sha256:')}"
    there = await client.objects(bucket, folder + "/")
    for file in selected:
        if f"{folder}/{file.name}" not in there:
            await client.upload(bucket, f"{folder}/{file.name}", file.path)
    single = (client.base / uri).is_file()
    return f"gs://{bucket}/{folder}/{selected[0].name}" if single else f"gs://{bucket}/{folder}"


async def owner(client: GcpClient, bucket: str, name: str) -> Mapping[str, Any] | None:
    """Whose runs of this name are: ``address`` and the operation ``op`` that first made them. None: nobody's."""
    raw = await client.download(bucket, f"results/{name}/owner.json")
    return None if raw is None else dict(json.loads(raw))


async def claim(client: GcpClient, bucket: str, name: str, address: str, token: str) -> None:
    """Write down whose runs of this name are. AlreadyExists when they are those of another address."""
    found = await owner(client, bucket, name)
    if found is not None and found["address"] != address:
        raise AlreadyExists(f"the bucket {bucket} has runs of {name} already: those of {found['address']}")
    body = json.dumps({"address": address, "op": token}).encode()
    await client.upload(bucket, f"results/{name}/owner.json", body, content_type="application/json")
