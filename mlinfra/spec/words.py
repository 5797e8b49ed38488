"""How values and types are called when people read about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN = 40


def describe(value: Any) -> str:
    """What stands there, in a few words: ``text 'abc'``, ``the number 5``, ``a list``, ``nothing``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value!r}"
    if isinstance(value, str):
        if value.startswith("${") and value.endswith("}"):
            return f"the expression {cut(value)}"
        return f"the text {cut(value)!r}"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a value"


def cut(text: str, length: int = _SHOWN) -> str:
    """At most ``length`` characters of ``text``, with an ellipsis when something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


def one_of(options: list[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def is_expression(value: Any) -> bool:
    """Whether a scalar as written holds a ``${…}`` that resolve will work out."""
    return isinstance(value, str) and "${" in value.replace("$${", "")
