"""Journal segments and the snapshot as bytes: checksummed lines of JSON.

A segment is one flush: a header line, then an entry a line. ``journal/000000000042`` can be created once; a holder that
lost its lock finds the next number taken and cannot write. A torn or altered segment fails its checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlinfra import __version__
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map
from mlinfra.state.codec import decode, decode_resource, encode, encode_resource
from mlinfra.state.entries import Entry, Intent, decode_entry, encode_entry

FORMAT = 1
"""The version of the state's format. A state of a newer format is refused untouched."""


@dataclass(frozen=True, slots=True)
class Segment:
    number: int
    epoch: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``position`` is the number of the last segment that it contains."""

    state: State
    intents: dict[str, Intent]
    position: int


def segment_key(number: int) -> str:
    return f"journal/{number:012d}"


def encode_segment(number: int, epoch: int, entries: Sequence[Entry]) -> bytes:
    body = _lines(encode_entry(e) for e in entries)
    return _with_header({"journal": number, "epoch": epoch}, body)


def decode_segment(data: bytes) -> Segment | None:
    """The segment; None when it is torn. StateError when a newer mlinfra wrote it."""
    header, body = _checked(data)
    if header is None:
        return None
    entries = tuple(decode_entry(json.loads(line)) for line in body.splitlines())
    return Segment(header["journal"], header["epoch"], entries)


def encode_snapshot(state: State, intents: Iterable[Intent], position: int) -> bytes:
    ordered = sorted(state.resources.items())
    body = _lines(encode_resource(r) for _, r in ordered)
    header = {
        "snapshot": position,
        "lineage": state.lineage,
        "serial": state.serial,
        "outputs": encode(state.outputs),
        "sensitive_outputs": list(state.sensitive_outputs),
        "intents": [encode_entry(i) for i in intents],
    }
    return _with_header(header, body)


def decode_snapshot(data: bytes) -> Snapshot:
    """StateError when it is damaged or was written by a newer mlinfra."""
    header, body = _checked(data)
    if header is None:
        raise StateError(
            Diagnostic(
                code="state.damaged",
                message="the state snapshot is damaged: its checksum does not fit its content",
                hint="restore it from your backup, or from the history kept beside it",
            )
        )
    resources: dict[tuple[str, str], ResourceState] = {}
    if body:
        for tree in json.loads(b"[" + body.rstrip().replace(b"\n", b",") + b"]"):
            r = decode_resource(tree)
            resources[r.key] = r
    outputs = decode(header["outputs"])
    state = State(
        lineage=header["lineage"],
        serial=header["serial"],
        resources=resources,
        outputs=outputs if isinstance(outputs, Map) else Map(),
        sensitive_outputs=tuple(header["sensitive_outputs"]),
    )
    intents = [decode_entry(t) for t in header["intents"]]
    return Snapshot(state, {i.op: i for i in intents if isinstance(i, Intent)}, header["snapshot"])


def _lines(trees: Iterable[dict[str, Any]]) -> bytes:
    return "".join([json.dumps(t, separators=(",", ":")) + "\n" for t in trees]).encode()


def _with_header(header: dict[str, Any], body: bytes) -> bytes:
    stamped = {"format": FORMAT, "mlinfra": __version__, **header}
    checksum = hashlib.sha256(json.dumps(stamped, sort_keys=True).encode() + body).hexdigest()
    return json.dumps({**stamped, "sha256": checksum}).encode() + b"\n" + body


def _checked(data: bytes) -> tuple[dict[str, Any] | None, bytes]:
    first, _, body = data.partition(b"\n")
    try:
        header = json.loads(first)
        checksum = header.pop("sha256")
        written_by = header["format"]
    except (ValueError, KeyError, AttributeError, TypeError):
        return None, b""
    if isinstance(written_by, int) and written_by > FORMAT:
        raise StateError(
            Diagnostic(
                code="state.newer",
                message=f"the state was written by mlinfra {header.get('mlinfra')}, in a newer format than this one reads",
                hint="use that version of mlinfra, or a newer one; nothing was changed",
            )
        )
    expected = hashlib.sha256(json.dumps(header, sort_keys=True).encode() + body).hexdigest()
    return (header, body) if expected == checksum else (None, b"")
