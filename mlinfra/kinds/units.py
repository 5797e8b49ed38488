"""Units as people write them: sizes, durations, accelerators."""

from __future__ import annotations

import re

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern

_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40, "pi": 2**50}
_SIZE = pattern(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]i?)?b?\s*\Z", re.IGNORECASE)
_PIECE = pattern(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ACCELERATOR = pattern(r"([A-Za-z][A-Za-z0-9_.+-]*)(?::(\d+))?\Z")


def parse_bytes(text: str) -> int:
    """``500GB`` is 500·10⁹, ``16GiB`` 16·2³⁰. ValueError with a sentence when it is no size."""
    match = _SIZE.match(text)
    if not match:
        raise ValueError(f"{text!r} is no size; write it like 500GB or 16GiB")
    unit = (match[2] or "").lower()
    factor = _BINARY[unit] if unit in _BINARY else _DECIMAL[unit]
    return int(match[1]) * factor if match[1].isdigit() else round(float(match[1]) * factor)


def parse_seconds(text: str) -> float:
    """``90s``, ``2h``, ``1h30m``, ``250ms`` in seconds. ValueError with a sentence when it is no duration."""
    compact = text.replace(" ", "").lower()
    pieces = _PIECE.findall(compact)
    if not pieces or "".join(n + u for n, u in pieces) != compact:
        raise ValueError(f"{text!r} is no duration; write it like 60s, 2h or 1h30m")
    return float(sum(float(n) * _SECONDS[u] for n, u in pieces))


@dataclass(frozen=True, slots=True)
class Accelerators:
    """``name`` as written (``H100``, ``A100-80GB``, ``TPU-v5e``) and how many."""

    name: str
    count: int


def parse_accelerators(text: str) -> Accelerators:
    """``H100:8``, ``A100-80GB:4``, ``T4`` (one). ValueError with a sentence otherwise."""
    match = _ACCELERATOR.match(text.strip())
    if not match or int(match[2] or 1) < 1:
        raise ValueError(f"{text!r} names no accelerator; write it like H100:8 or A100-80GB:4")
    return Accelerators(match[1], int(match[2] or 1))


def format_bytes(size: int) -> str:
    """``1.5 GB``: decimal units, at most one decimal."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}".replace(".0 ", " ")
        value /= 1000
    raise AssertionError
