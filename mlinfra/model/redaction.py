"""What must not be said: the values of every Secret of this process, taken out of texts that others wrote (a provider's error
message, a log line, a traceback).

Nothing of ours prints a Secret; this is for what comes from outside, where a cloud may quote what it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = "(sensitive)"
SHORTEST = 6
"""Characters: a shorter value is no secret worth the name, and taking it out would mangle texts that have nothing to do with it."""

_known: set[str] = set()


def remember(value: Any) -> None:
    """``value`` (a scalar, or a tree of them) is secret from now on."""
    if isinstance(value, str):
        if len(value) >= SHORTEST:
            _known.add(value)
            if "\n" in value:  # a key in a file: every line of it
                _known.update(line for line in value.splitlines() if len(line) >= 16)
    elif isinstance(value, Mapping):
        for child in value.values():
            remember(child)
    elif isinstance(value, (tuple, list)):
        for child in value:
            remember(child)
    elif isinstance(value, (int, float)) and len(str(value)) >= SHORTEST:
        _known.add(str(value))


def redact(text: str) -> str:
    """``text`` without the secrets that are known to this process, also where they are quoted with escapes."""
    for secret in sorted(_known, key=len, reverse=True) if _known else ():
        for form in (secret, repr(secret)[1:-1]):
            if form in text:
                text = text.replace(form, SHOWN)
    return text
