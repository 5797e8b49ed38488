"""Physical names: a pure function of project, environment and address, within a service's limits."""

from __future__ import annotations

import hashlib
import json
import re

from mlinfra.model.values import Value, thaw


def digest_of(value: Value, length: int = 12) -> str:
    """A short hex digest of a tree, equal for equal trees."""
    text = json.dumps(thaw(value), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def physical_name(
    project: str,
    environment: str,
    address: str,
    *,
    content: Value = None,
    limit: int = 63,
    separator: str = "-",
    allowed: str = "a-z0-9",
) -> str:
    """``tickets-prod-raw``, cut and given a digest where it would be too long, or where characters had to be replaced
    (so that two addresses never share a name). ``content`` adds a digest of an immutable object's content."""
    raw = separator.join(p for p in (project, environment, address) if p)
    clean = re.sub(rf"[^{allowed}]+", separator, raw.lower()).strip(separator)
    plain = re.sub(r"[._-]", separator, raw)
    tail = digest_of(content, 10) if content is not None else ""
    if clean != plain or len(clean) + (len(tail) + 1 if tail else 0) > limit:
        unique = hashlib.sha256(raw.encode()).hexdigest()[:8]
        room = limit - len(unique) - 1 - (len(tail) + 1 if tail else 0)
        clean = separator.join((clean[:room].rstrip(separator), unique))
    return separator.join((clean, tail)) if tail else clean
