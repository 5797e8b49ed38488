"""What an API answers, and small readings of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Observed
from mlinfra.model.values import Map, Value, is_known

Raw = Mapping[str, Any]
"""An object as an API tells it."""


def dig(tree: Any, path: str) -> Any:
    """``dig(answer, "repositories.0.arn")``; None where it does not lead."""
    for step in path.split(".") if path else ():
        if isinstance(tree, Mapping):
            tree = tree.get(step)
        elif isinstance(tree, (list, tuple)) and step.isdigit() and int(step) < len(tree):
            tree = tree[int(step)]
        else:
            return None
    return tree


def half(observed: Observed) -> Observed:
    """What stands of an object whose making failed: without what only the engine needs."""
    return Observed(observed.id, public(observed.attributes))


def public(attributes: Map) -> Map:
    """The attributes without the state that the create answered with."""
    return Map({k: v for k, v in attributes.items() if k != "__state__"}) if "__state__" in attributes else attributes


def time_text(value: Any) -> str:
    """A time of an answer as it is recorded."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value or "")


def texts(value: Value) -> list[Value]:
    """Every known leaf of a tree."""
    if isinstance(value, Mapping):
        return [t for v in value.values() for t in texts(v)]
    if isinstance(value, tuple):
        return [t for v in value for t in texts(v)]
    return [value] if is_known(value) else []
