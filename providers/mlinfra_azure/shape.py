"""What ARM answers, brought into the form in which it was asked for.

The server spells ids and locations in its own case, leaves out what is null, and adds defaults. Only what was asked for is recorded, in
the spelling of the asker where it means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Map, Secret, SecretDigest, Value, freeze
from mlinfra.provider import answers
from mlinfra.provider.answers import hollow as hollow


def like(seen: Value, wanted: Value) -> Value:
    """``seen`` cut down to what ``wanted`` names, in its spelling where both mean the same."""
    if isinstance(wanted, (Secret, SecretDigest)):
        return wanted
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        out = {}
        spelled = {str(k).lower(): k for k in seen} if any("/" in str(k) for k in wanted) else {}
        for key, value in wanted.items():
            there = key if key in seen else spelled.get(str(key).lower())
            if there is not None:
                out[key] = like(seen[there], value)
            elif hollow(value) or isinstance(value, (Secret, SecretDigest)):
                out[key] = value
        return Map(out)
    if isinstance(wanted, (tuple, list)) and isinstance(seen, (tuple, list)):
        if len(wanted) == len(seen):
            return tuple([like(s, w) for s, w in zip(_ordered(seen, wanted), wanted, strict=True)])
        return freeze(list(seen))
    if seen is None and hollow(wanted):
        return wanted
    return wanted if alike(seen, wanted) else freeze(seen)


def _ordered(seen: Any, wanted: Any) -> list[Any]:
    """Named items in the order in which they were asked for: Azure sorts some lists."""
    names = [w.get("name") if isinstance(w, Mapping) else None for w in wanted]
    found = {s.get("name"): s for s in seen if isinstance(s, Mapping)}
    if None in names or len(found) != len(seen) or set(found) != set(names):
        return list(seen)
    return [found[n] for n in names]


def alike(one: Value, other: Value) -> bool:
    """Whether two values mean the same to ARM, which spells ids in a case of its own."""
    return answers.alike(one, other, _spelled)


def _spelled(one: Value, other: Value) -> bool:
    return isinstance(one, str) and isinstance(other, str) and _plain(one) == _plain(other)


def same_place(one: Value, other: Value) -> bool:
    """Whether two locations are the same one: ``eastus`` and ``East US``."""
    return isinstance(one, str) and isinstance(other, str) and one.replace(" ", "").lower() == other.replace(" ", "").lower()


def _plain(text: str) -> str:
    return text.rstrip("/").lower() if text.lower().startswith("/subscriptions/") else text
