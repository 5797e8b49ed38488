"""Request bodies held against the discovery documents, offline: what is unknown, read-only, of a wrong type or missing is a
problem with its place, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mlinfra.model.values import DEFERRED, Path, Secret, SecretDigest, Value
from mlinfra_gcp.documents import Document, Property

Problem = tuple[Path, str]
_WHOLE = re.compile(r"-?\d+\Z")
_SHOWN = 12


def problems(document: Document, schema: str, body: Mapping[str, Value], *, method: str = "", at: Path = ()) -> Iterator[Problem]:
    """What ``schema`` does not allow in ``body``. ``method`` is the full name under which annotations ask for properties
    (``compute.disks.insert``); deferred leaves are skipped."""
    yield from _fields(document, schema, document.properties(schema), body, method, at)


def value_problems(document: Document, prop: Property, value: Value, *, method: str = "", at: Path = ()) -> Iterator[Problem]:
    """What ``prop`` does not allow as ``value``."""
    if isinstance(value, (*DEFERRED, Secret, SecretDigest)) or value is None:
        return
    if "ref" in prop or "props" in prop:
        if not isinstance(value, Mapping):
            yield at, f"{_said(value)} is no map"
            return
        name = prop.get("ref", "")
        yield from _fields(document, name, prop.get("props") or document.properties(name), value, method, at)
    elif prop.get("type") == "array":
        if not isinstance(value, (tuple, list)):
            yield at, f"{_said(value)} is no list"
            return
        for index, item in enumerate(value):
            yield from value_problems(document, prop.get("items", {"type": "any"}), item, method=method, at=(*at, index))
    elif "map" in prop:
        if not isinstance(value, Mapping):
            yield at, f"{_said(value)} is no map"
            return
        for key, item in value.items():
            yield from value_problems(document, prop["map"], item, method=method, at=(*at, key))
    else:
        problem = _scalar(prop, value)
        if problem:
            yield at, problem


def _fields(
    document: Document, schema: str, known: Mapping[str, Property], body: Mapping[str, Value], method: str, at: Path
) -> Iterator[Problem]:
    for name, value in body.items():
        prop = known.get(name)
        if prop is None:
            yield (*at, name), f"{schema or document.service} has no property {name!r}{_meant(name, known)}"
        elif prop.get("output"):
            yield (*at, name), f"{name!r} is output only in {schema} ({document.cited})"
        else:
            yield from value_problems(document, prop, value, method=method, at=(*at, name))
    for name, prop in known.items():
        if body.get(name) is None and _required(prop, method) and not prop.get("output"):
            yield (*at, name), f"{name!r} is required in {schema} ({document.cited})"


def _required(prop: Property, method: str) -> bool:
    wanted = prop.get("required")
    return method in wanted if isinstance(wanted, list) else bool(wanted)


def _scalar(prop: Property, value: Any) -> str:
    kind, format_ = prop.get("type", "any"), prop.get("format", "")
    if kind == "any" or (kind == "object" and isinstance(value, Mapping)):
        return ""
    if kind == "boolean":
        return "" if isinstance(value, bool) else f"{_said(value)} is neither true nor false"
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind == "integer":
        return "" if whole else f"{_said(value)} is no whole number"
    if kind == "number":
        return "" if whole or isinstance(value, float) else f"{_said(value)} is no number"
    if kind == "string" and format_ in ("int64", "uint64"):
        return "" if whole or (isinstance(value, str) and _WHOLE.match(value)) else f"{_said(value)} is no whole number"
    if kind == "object":
        return f"{_said(value)} is no map"
    if not isinstance(value, str):
        return f"{_said(value)} is no text"
    allowed = prop.get("enum")
    if allowed and value not in allowed:
        shown = ", ".join([a for a in allowed if not a.endswith("_UNSPECIFIED")][:_SHOWN])
        return f"{value!r} is not allowed here{_meant(value, allowed)}; allowed: {shown}{', …' if len(allowed) > _SHOWN else ''}"
    return ""


def _meant(name: str, known: Mapping[str, Any] | list[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _said(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
