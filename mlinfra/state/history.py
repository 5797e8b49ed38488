"""History: what every apply left, and the spec that made it. One gzipped JSON object an apply, numbered from 1."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.values import EMPTY, Map
from mlinfra.state.codec import decode, encode
from mlinfra.state.session import Location
from mlinfra.state.store import StoreConflict, delete_all

DigestRow = tuple[str, str, str, int, int, bool]
"""path, mode, digest, size, files, whether it is a single file."""


_LEVEL = 6
"""How hard gzip tries: 9 takes four times as long for a fiftieth less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One apply. ``files`` is the spec as written (name → text), ``variables`` the values that are not sensitive,
    ``digests`` what the local paths held (``[path, mode]`` → digest, size, files, single).
    ``time`` is Unix seconds. ``overrides``: (policy, reason) of refusals that were borne."""

    number: int
    time: float
    operation: str
    summary: str
    serial: int
    environment: str = ""
    spec_digest: str = ""
    owner: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Map = EMPTY
    digests: tuple[tuple[str, str, str, int, int, bool], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()


def _key(location: Location, number: int) -> str:
    return f"{location.prefix}history/{number:08d}.json.gz"


def append_history(location: Location, entry: HistoryEntry) -> HistoryEntry:
    """Write ``entry`` under the next free number, and drop the oldest beyond ``location.keep``."""
    keys = location.store.list(location.prefix + "history/")
    number = _number(keys[-1]) + 1 if keys else 1
    while True:
        tree: dict[str, Any] = {
            name: getattr(entry, name) for name in entry.__slots__ if name not in ("number", "variables", "files")
        }
        body = {**tree, "number": number, "files": dict(entry.files), "variables": encode(entry.variables)}
        try:
            location.store.put_if(_key(location, number), gzip.compress(json.dumps(body).encode(), _LEVEL, mtime=0), None)
            break
        except StoreConflict:
            number += 1
    delete_all(location.store, keys[: max(0, len(keys) + 1 - location.keep)])
    return _decode(body)


def read_history(location: Location) -> list[HistoryEntry]:
    """Every entry kept, oldest first."""
    return [entry for key in location.store.list(location.prefix + "history/") if (entry := _load(location, key)) is not None]


def find_history(location: Location, number: int) -> HistoryEntry:
    """The entry of that number. StateError when there is none."""
    entry = _load(location, _key(location, number))
    if entry is None:
        kept = [str(_number(k)) for k in location.store.list(location.prefix + "history/")]
        raise StateError(
            Diagnostic(
                code="state.no_history",
                message=f"there is no apply number {number} in the history",
                hint=f"there are: {', '.join(kept[-10:]) or 'none'}",
            )
        )
    return entry


def damaged_history(location: Location) -> list[tuple[str, str]]:
    """The keys of entries that cannot be read, each with why."""
    found: list[tuple[str, str]] = []
    for key in location.store.list(location.prefix + "history/"):
        try:
            _load(location, key)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
            found.append((key, str(error) or type(error).__name__))
    return found


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].partition(".")[0])


def _load(location: Location, key: str) -> HistoryEntry | None:
    blob = location.store.get(key)
    return _decode(json.loads(gzip.decompress(blob.data))) if blob is not None else None


def _decode(body: Mapping[str, Any]) -> HistoryEntry:
    values = dict(body)
    values["variables"] = decode(values["variables"])
    values["digests"] = tuple(tuple(d) for d in values["digests"])
    values["overrides"] = tuple((o[0], o[1]) for o in values.get("overrides", ()))
    return HistoryEntry(**values)
