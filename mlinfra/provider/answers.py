"""Comparing what a cloud's API answers with what it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.values import EMPTY, Value

_EMPTY: tuple[Any, ...] = (None, False, 0, "", (), EMPTY)


def hollow(value: Value) -> bool:
    """Whether a server may leave it out of its answers: what is empty, or holds nothing that isn't."""
    if isinstance(value, Mapping):
        return all(hollow(v) for v in value.values())
    return any(value == empty and type(value) is type(empty) for empty in _EMPTY)


def alike(one: Value, other: Value, spelled: Callable[[Value, Value], bool]) -> bool:
    """Whether two values mean the same, leaf by leaf. ``spelled`` says so of two leaves that are not equal: how the API spells
    them is each cloud's own."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[k], other[k], spelled) for k in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(alike(a, b, spelled) for a, b in zip(one, other, strict=True))
    if one == other:
        return isinstance(one, bool) is isinstance(other, bool)
    return spelled(one, other)
