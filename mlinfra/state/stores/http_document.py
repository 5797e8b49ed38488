"""All blobs of a state in one JSON document, for stores that keep nothing but one document.

``{"mlinfra_state": 2, "serial": 7, "lineage": …, "holder": {…}, "blobs": {key: {"version": 5, "text": …}}}``. ``serial`` grows
with every write (GitLab files the document under it); a blob's version is the serial that wrote it. Larger blobs are deflated, since
all of them go out with every write.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import asdict, field, fields
from functools import lru_cache
from typing import Any

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.state.lock import Lease
from mlinfra.state.store import Blob, StoreConflict

FORMAT = 2
"""What is written. Format 1 had no deflated blobs, and is read."""
LARGE = 1024
"""Bytes from which on a blob is deflated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What the server keeps. ``holder`` wrote it last; its id is that of the server's lock."""

    serial: int = 0
    lineage: str = ""
    holder: Lease | None = None
    blobs: Mapping[str, Blob] = field(default_factory=dict)

    def put(self, key: str, data: bytes, version: str | None) -> Document:
        """With that blob written. StoreConflict when it is not at ``version``."""
        found = self.blobs.get(key)
        if (found.version if found else None) != version:
            raise StoreConflict(key)
        serial = self.serial + 1
        return replace(
            self,
            serial=serial,
            lineage=self.lineage or str(uuid.uuid4()),
            blobs={**self.blobs, key: Blob(data, str(serial))},
        )

    def without(self, keys: set[str]) -> Document:
        return replace(self, serial=self.serial + 1, blobs={k: b for k, b in self.blobs.items() if k not in keys})


def encode(document: Document) -> bytes:
    holder = document.holder
    tree = {
        "mlinfra_state": FORMAT,
        "serial": document.serial,
        "lineage": document.lineage,
        "holder": asdict(holder) if holder else None,
        "blobs": {key: {"version": int(blob.version), **_content(blob.data)} for key, blob in sorted(document.blobs.items())},
    }
    return json.dumps(tree, separators=(",", ":")).encode()


def decode(data: bytes, where: str) -> Document:
    """The document. StateError when ``where`` holds something that is not ours: nothing of it is touched."""
    try:
        tree = json.loads(data)
        written_by = tree["mlinfra_state"]
    except (ValueError, KeyError, TypeError):
        raise StateError(
            Diagnostic(
                code="state.foreign",
                message=f"{where} holds something that mlinfra did not write (a Terraform state?)",
                hint="give this state an address of its own; nothing was changed",
            )
        ) from None
    if written_by not in (1, FORMAT):
        raise StateError(
            Diagnostic(
                code="state.newer",
                message=f"{where} holds a document of format {written_by!r}, which this mlinfra does not read",
                hint="use a newer mlinfra; nothing was changed",
            )
        )
    named = {f.name for f in fields(Lease)}
    holder = Lease(**{k: v for k, v in tree["holder"].items() if k in named}) if tree.get("holder") else None
    blobs = {key: Blob(_bytes(entry), str(entry["version"])) for key, entry in tree["blobs"].items()}
    return Document(serial=tree["serial"], lineage=tree["lineage"], holder=holder, blobs=blobs)


@lru_cache(maxsize=256)
def _deflated(data: bytes) -> str:
    """Kept, since a blob is sent again with every write until it is folded in."""
    return base64.b64encode(zlib.compress(data)).decode()


def _content(data: bytes) -> dict[str, str]:
    if len(data) >= LARGE:
        return {"deflate": _deflated(data)}
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(entry: Mapping[str, Any]) -> bytes:
    if "deflate" in entry:
        return zlib.decompress(base64.b64decode(entry["deflate"]))
    return entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
