"""Journal segments and the snapshot as bytes: checksummed lines of JSON.

A segment is one flush: a header line, then an entry a line. ``journal/000000000042`` can be created once; a holder that
lost its lock finds the next number taken and cannot write. A torn or altered segment fails its checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

from mlinfra import __version__
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.patterns import pattern
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map
from mlinfra.state.codec import decode, decode_resource, encode, encode_resource
from mlinfra.state.entries import Entry, Intent, decode_entry, encode_entry
from mlinfra.state.formats import FORMAT, refuse_newer, upgrade

_compact = json.JSONEncoder(separators=(",", ":")).encode
_SEALED = b"mlinfra-encrypted-"
_NUMBER = pattern(r"\d{12,}")


class Damage(StrEnum):
    """``TORN``: the end is missing, as a crash leaves it. ``ALTERED``: all there, and not what was written."""

    TORN = "torn"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class Segment:
    """``checksum`` tells two segments of one number apart."""

    number: int
    epoch: int
    entries: tuple[Entry, ...]
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Fence:
    """The first segment of a holder, kept after compaction so that whoever held the lock before finds it. ``time``: Unix seconds."""

    number: int
    time: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``position`` is the number of the last segment that it contains; ``epoch`` is of the holder that wrote it."""

    state: State
    intents: dict[str, Intent]
    position: int
    epoch: int = 0
    fences: tuple[Fence, ...] = ()


def segment_key(number: int) -> str:
    return f"journal/{number:012d}"


def segment_number(key: str) -> int | None:
    """The number that a key is named by; None for a key that no segment has."""
    name = key.rpartition("/")[2]
    return int(name) if _NUMBER.fullmatch(name) else None


def encode_segment(number: int, epoch: int, entries: Sequence[Entry]) -> bytes:
    body = _lines(encode_entry(e) for e in entries)
    return _with_header({"journal": number, "epoch": epoch, "bytes": len(body)}, body)


def decode_segment(data: bytes) -> Segment | Damage:
    """The segment, or what is wrong with it. StateError when a newer mlinfra wrote it."""
    header, body = _checked(data)
    if header is None:
        return _damage(data)
    try:
        header, lines = upgrade(header, [json.loads(line) for line in body.splitlines()])
        return Segment(header["journal"], header["epoch"], tuple([decode_entry(t) for t in lines]), _checksum(data))
    except (KeyError, TypeError, ValueError):
        return Damage.ALTERED


def encode_snapshot(
    state: State, intents: Iterable[Intent], position: int, *, epoch: int = 0, fences: Iterable[Fence] = ()
) -> bytes:
    ordered = sorted(state.resources.items())
    body = _lines(encode_resource(r) for _, r in ordered)
    header = {
        "snapshot": position,
        "epoch": epoch,
        "fences": [[f.number, f.time] for f in fences],
        "lineage": state.lineage,
        "serial": state.serial,
        "outputs": encode(state.outputs),
        "sensitive_outputs": list(state.sensitive_outputs),
        "intents": [encode_entry(i) for i in intents],
    }
    return _with_header(header, body)


@lru_cache(maxsize=1)
def decode_snapshot(data: bytes) -> Snapshot:
    """StateError when it is damaged or was written by a newer mlinfra. The last one is remembered: an apply reads under its lock what its
    plan has read without."""
    header, body = _checked(data)
    if header is None:
        raise _damaged("its checksum does not fit its content")
    try:
        lines = json.loads(b"[" + body.rstrip().replace(b"\n", b",") + b"]") if body else []
        header, lines = upgrade(header, lines)
        resources: dict[tuple[str, str], ResourceState] = {}
        for tree in lines:
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
        fences = tuple([Fence(number, time) for number, time in header["fences"]])
        known = {i.op: i for i in intents if isinstance(i, Intent)}
        return Snapshot(state, known, header["snapshot"], header["epoch"], fences)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(f"it holds what this version cannot read: {error}") from error


def _damaged(why: str) -> StateError:
    return StateError(
        Diagnostic(
            code="state.damaged",
            message=f"the state snapshot is damaged: {why}",
            hint="restore state.json from your backup; `mlinfra state doctor` shows what else is there",
        )
    )


def _lines(trees: Iterable[dict[str, Any]]) -> bytes:
    return "".join([_compact(t) + "\n" for t in trees]).encode()


def _with_header(header: dict[str, Any], body: bytes) -> bytes:
    stamped = {"format": FORMAT, "mlinfra": __version__, **header}
    checksum = hashlib.sha256(json.dumps(stamped, sort_keys=True).encode() + body).hexdigest()
    return json.dumps({**stamped, "sha256": checksum}).encode() + b"\n" + body


def _checksum(data: bytes) -> str:
    found: str = json.loads(data.partition(b"\n")[0])["sha256"]
    return found


def _damage(data: bytes) -> Damage:
    """Torn is what a crash leaves: an end that is missing, or blocks that were never written (NULs).

    What is encrypted and does not open may be either: it counts as torn, so that it may be the last one and nothing else."""
    first, newline, body = data.partition(b"\n")
    if not newline or b"\0" in data or first.startswith(_SEALED):
        return Damage.TORN
    try:
        expected = json.loads(first).get("bytes")
    except (ValueError, AttributeError):
        return Damage.ALTERED
    short = len(body) < expected if isinstance(expected, int) else not body.endswith(b"\n")
    return Damage.TORN if short else Damage.ALTERED


def _checked(data: bytes) -> tuple[dict[str, Any] | None, bytes]:
    first, _, body = data.partition(b"\n")
    try:
        header = json.loads(first)
        checksum = header.pop("sha256")
        written = header["format"]
    except (ValueError, KeyError, AttributeError, TypeError):
        return None, b""
    refuse_newer(header)
    expected = hashlib.sha256(json.dumps(header, sort_keys=True).encode() + body).hexdigest()
    return (header, body) if expected == checksum and isinstance(written, int) else (None, b"")
