"""Value trees as Terraform's formats have them: what is unknown left out and marked beside, what is secret marked beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.change import MISSING
from mlinfra.model.values import DEFERRED, Secret, SecretDigest, Value

HIDDEN = "(sensitive)"
"""Stands for a secret: what tools read has the attribute, and not its value."""


def is_secret(leaf: Value) -> bool:
    return isinstance(leaf, (Secret, SecretDigest))


def is_unknown(leaf: Value) -> bool:
    return leaf is MISSING or isinstance(leaf, DEFERRED)


def known_json(value: Value) -> Any:
    """JSON data of what is known. An unknown attribute is left out of its map, an unknown item is null in its list."""
    if isinstance(value, Mapping):
        return {k: known_json(v) for k, v in value.items() if not is_unknown(v)}
    if isinstance(value, (tuple, list)):
        return [known_json(v) for v in value]
    if is_secret(value):
        return HIDDEN
    if is_unknown(value):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def marks(value: Value, is_marked: Callable[[Value], bool]) -> Any:
    """``True`` where a leaf is marked; maps keep only the keys that lead to a mark, lists all of their items; False: no mark."""
    if isinstance(value, Mapping):
        found = {k: mark for k, v in value.items() if (mark := marks(v, is_marked))}
        return found or False
    if isinstance(value, (tuple, list)):
        items = [marks(v, is_marked) for v in value]
        return items if any(items) else False
    return is_marked(value)


def unknown_tree(value: Value) -> Any:
    """Terraform's ``after_unknown``: ``{}`` when all is known."""
    return marks(value, is_unknown) or {}


def sensitive_tree(value: Value) -> Any:
    """Terraform's ``after_sensitive``: False for what is absent, else ``{}`` or the marks."""
    return False if value is None else marks(value, is_secret) or {}
