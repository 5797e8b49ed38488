"""What runs left in a store of blobs: a record a step and fingerprint, so that no run is done twice; contents lie by their digest.

content/DIGEST/…            an output's files
results/NAME/RUN/STEP.json  what a step of a run gave; STEP.failed: why it did not
results/NAME/owner.json     whose runs of this name are
code/DIGEST.tar.gz          what a container gets
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlinfra.model.values import Value
from mlinfra.provider.failures import AlreadyExists, NotFound
from mlinfra.provider.planned import as_planned


class Store(Protocol):
    """A cloud's blobs. ``place`` is whatever the cloud calls a container of them."""

    @property
    def base(self) -> Path:
        """The spec's folder."""

    async def upload(self, place: str, name: str, source: Path | bytes, *, content_type: str = ...) -> None: ...
    async def download(self, place: str, name: str) -> bytes | None: ...
    async def objects(self, place: str, prefix: str) -> dict[str, tuple[int, str]]: ...
    async def remove_objects(self, place: str, prefix: str) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``outputs`` are URIs by name, ``digests`` those of their content."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


async def recall(store: Store, place: str, name: str, run: str, steps: Iterable[str]) -> Outcome | None:
    """What a run of this name left; None when a step's record, or something that it wrote, is not there."""
    outputs: dict[str, str] = {}
    digests: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    try:
        for step in steps:
            raw = await store.download(place, f"results/{name}/{run}/{step}.json")
            if raw is None:
                return None
            record = json.loads(raw)
            outputs |= record["outputs"]
            digests |= record["digests"]
            metrics |= record["metrics"]
        for digest in digests.values():
            if not await store.objects(place, f"content/{digest.removeprefix('sha256:')}/"):
                return None
    except NotFound:
        return None
    return Outcome(outputs=outputs, digests=digests, metrics=metrics)


async def complaint(store: Store, place: str, name: str, run: str, steps: Iterable[str]) -> str:
    """What a step that failed said of it."""
    for step in steps:
        raw = await store.download(place, f"results/{name}/{run}/{step}.failed")
        if raw is not None:
            return raw.decode()
    return ""


async def forget(store: Store, place: str, name: str, run: str = "") -> None:
    """Take away what an earlier attempt at this run said; without ``run``: all records of the name."""
    await store.remove_objects(place, f"results/{name}/{run}/" if run else f"results/{name}/")


async def bring(store: Store, place: str, name: str, given: Value, *, scheme: str = "") -> str:
    """The URI of an input: as it is, or of a local path whose content is uploaded first. ``scheme`` stands before the place in a URI."""
    if not isinstance(given, Mapping):
        return str(given)
    uri = str(given.get("uri", given.get("path", "")))
    if "://" in uri:
        return uri
    version = str(given.get("digest", given.get("version")))
    selected = as_planned(store.base, uri, version, what=f"the input {name} ({uri})")
    folder = f"content/{version.removeprefix('sha256:')}"
    there = await store.objects(place, folder + "/")
    for file in selected:
        if f"{folder}/{file.name}" not in there:
            await store.upload(place, f"{folder}/{file.name}", file.path)
    single = (store.base / uri).is_file()
    return f"{scheme}{place}/{folder}/{selected[0].name}" if single else f"{scheme}{place}/{folder}"


async def owner(store: Store, place: str, name: str) -> Mapping[str, Any] | None:
    """Whose runs of this name are: ``address`` and the operation ``op`` that first made them. None: nobody's."""
    try:
        raw = await store.download(place, f"results/{name}/owner.json")
    except NotFound:
        return None
    return None if raw is None else dict(json.loads(raw))


async def claim(store: Store, place: str, name: str, address: str, token: str) -> None:
    """Write down whose runs of this name are. AlreadyExists when they are those of another address."""
    found = await owner(store, place, name)
    if found is not None and found["address"] != address:
        raise AlreadyExists(f"{place} has runs of {name} already: those of {found['address']}")
    body = json.dumps({"address": address, "op": token}).encode()
    await store.upload(place, f"results/{name}/owner.json", body, content_type="application/json")
