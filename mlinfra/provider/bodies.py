"""Request bodies held against a cloud's published schemas, offline: what is unknown, read-only, of a wrong type or missing is a
problem with its place, before anything is sent. The schemas come condensed (``scripts/condense_*.py``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

from mlinfra.model.patterns import pattern
from mlinfra.model.values import DEFERRED, Path, Secret, SecretDigest, Value

Property = Mapping[str, Any]
"""What one place of a body may hold.

``ref`` names another schema of the document, ``props`` are the properties of what is nested, ``items`` those of a list's items, ``map``
of a map's values; ``choice`` is the property whose value picks one of ``variants``. ``type``, ``format``, ``enum``, ``pattern``,
``length`` and ``range`` (each ``[least, most]``, null for no bound) are of scalars. ``output``: read only; ``required``: True, or the
methods that ask for it; ``immutable``: why, or that, it never changes."""

Problem = tuple[Path, str]
_WHOLE = pattern(r"-?\d+\Z")
_SHOWN = 12


class Described(Protocol):
    """A document that describes bodies. ``cited`` is how a person is told of it: ``aiplatform v1, revision 20261106``."""

    @property
    def service(self) -> str: ...

    @property
    def cited(self) -> str: ...

    def properties(self, schema: str) -> Mapping[str, Property]: ...


def value_problems(document: Described, prop: Property, value: Value, *, method: str = "", at: Path = ()) -> Iterator[Problem]:
    """What ``prop`` does not allow as ``value``. ``method`` is the full name under which annotations ask for properties
    (``compute.disks.insert``); deferred leaves are skipped."""
    if isinstance(value, (*DEFERRED, Secret, SecretDigest)) or value is None:
        return
    if "ref" in prop or "props" in prop or "variants" in prop:
        if not isinstance(value, Mapping):
            yield at, f"{_said(value)} is no map"
        elif "variants" in prop:
            yield from _chosen(document, prop, value, method, at)
        else:
            name = prop.get("ref", "")
            known = prop["props"] if "props" in prop else document.properties(name)
            yield from field_problems(document, name, known, value, method=method, at=at)
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


def variant(prop: Property, value: Mapping[str, Value]) -> Mapping[str, Property] | None:
    """The properties that ``value`` may have, by what its ``choice`` says; None while that says nothing that is known."""
    found = prop["variants"].get(value.get(prop["choice"]))
    return None if found is None else dict(found)


def field_problems(
    document: Described, schema: str, known: Mapping[str, Property], body: Mapping[str, Value], *, method: str = "", at: Path = ()
) -> Iterator[Problem]:
    """What a map of the properties ``known`` may not hold, and what it lacks."""
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
            yield (*at, name), f"{name!r} is required{f' in {schema}' if schema else ''} ({document.cited})"


def _chosen(document: Described, prop: Property, value: Mapping[str, Value], method: str, at: Path) -> Iterator[Problem]:
    choice = prop["choice"]
    picked = value.get(choice)
    if isinstance(picked, DEFERRED):
        return
    known = variant(prop, value)
    if picked is None:
        yield (*at, choice), f"{choice!r} is required ({document.cited}): {_listed(list(prop['variants']))}"
    elif known is None:
        allowed = list(prop["variants"])
        yield (*at, choice), f"{_said(picked)} is not allowed here{_meant(str(picked), allowed)}; allowed: {_listed(allowed)}"
    else:
        yield from field_problems(document, f"{choice} {picked}", known, value, method=method, at=at)


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
        return _out_of_range(prop, value) if whole else f"{_said(value)} is no whole number"
    if kind == "number":
        return _out_of_range(prop, value) if whole or isinstance(value, float) else f"{_said(value)} is no number"
    if kind == "string" and format_ in ("int64", "uint64"):
        return "" if whole or (isinstance(value, str) and _WHOLE.match(value)) else f"{_said(value)} is no whole number"
    if kind == "object":
        return f"{_said(value)} is no map"
    if not isinstance(value, str):
        return f"{_said(value)} is no text"
    return _text(prop, value)


def _text(prop: Property, value: str) -> str:
    allowed = prop.get("enum")
    if allowed and value not in allowed:
        named = [a for a in allowed if not a.endswith("_UNSPECIFIED")]
        return f"{value!r} is not allowed here{_meant(value, allowed)}; allowed: {_listed(named)}"
    least, most = prop.get("length") or (None, None)
    if (least is not None and len(value) < least) or (most is not None and len(value) > most):
        return f"{_said(value)} is of length {len(value)}; allowed: {_bounds(least, most)}"
    if "pattern" in prop and not re.search(prop["pattern"], value):
        return f"{_said(value)} does not match {prop['pattern']}"
    return ""


def _out_of_range(prop: Property, value: float) -> str:
    least, most = prop.get("range") or (None, None)
    if (least is not None and value < least) or (most is not None and value > most):
        return f"{value} is out of range; allowed: {_bounds(least, most)}"
    return ""


def _bounds(least: Any, most: Any) -> str:
    if least is None or most is None:
        return f"at most {most}" if least is None else f"at least {least}"
    return f"{least}" if least == most else f"{least} to {most}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"


def _meant(name: str, known: Mapping[str, Any] | list[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _said(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
