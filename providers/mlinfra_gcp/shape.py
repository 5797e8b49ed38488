"""What Google answers, brought into the form in which it was asked for.

The server spells links in full, writes 64-bit numbers as texts, leaves out what is empty, and adds defaults. Only what was
asked for is recorded, in the spelling of the asker where it means the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlinfra.model.values import Map, Secret, SecretDigest, Value, freeze
from mlinfra.provider import answers
from mlinfra.provider.answers import hollow as hollow

_LINK = re.compile(r"https?://[^/]+/(?:compute/)?(?:v\d\w*/)?(?=projects/)")
_PROJECT = re.compile(r"projects/([^/]+)/(.+)\Z")


def like(seen: Value, wanted: Value) -> Value:
    """``seen`` cut down to what ``wanted`` names, in its spelling where both mean the same."""
    if isinstance(wanted, (Secret, SecretDigest)):
        return wanted if seen is not None else None
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping):
        out = {}
        for key, value in wanted.items():
            if key in seen:
                out[key] = like(seen[key], value)
            elif hollow(value):
                out[key] = value
        return Map(out)
    if isinstance(wanted, tuple) and isinstance(seen, (tuple, list)):
        if len(wanted) == len(seen):
            return tuple([like(s, w) for s, w in zip(seen, wanted, strict=True)])
        return freeze(list(seen))
    if seen is None and hollow(wanted):
        return wanted
    return wanted if alike(seen, wanted) else freeze(seen)


def alike(one: Value, other: Value) -> bool:
    """Whether two values mean the same to Google: links short or in full, ``"10"`` and 10, ``3600s`` and ``3600.0s``."""
    return answers.alike(one, other, _spelled)


def _spelled(one: Value, other: Value) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, (int, float, str)) and isinstance(other, (int, float, str)):
        a, b = plain(one), plain(other)
        return a == b or (("/" in a and "/" in b) and (a.endswith("/" + b) or b.endswith("/" + a) or _same_but_for_number(a, b)))
    return False


def _same_but_for_number(one: str, other: str) -> bool:
    """Vertex AI answers with the project's number where its id was given."""
    a, b = _PROJECT.match(one), _PROJECT.match(other)
    return a is not None and b is not None and a[2] == b[2] and a[1].isdigit() is not b[1].isdigit()


def plain(value: int | float | str) -> str:
    """One spelling for each value."""
    text = _LINK.sub("", str(value))
    number = re.fullmatch(r"(-?\d+)\.0+(s?)", text)
    return number[1] + number[2] if number else text
