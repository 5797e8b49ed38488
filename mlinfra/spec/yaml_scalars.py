"""What a plain YAML scalar means: the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema), one shade stricter.

``yes``, ``no``, ``on``, ``off``, dates and ``12:30`` are text; a decimal with leading zeros (``007``) is text too, because an
account number must not lose them.
"""

from __future__ import annotations

import math
from typing import Any

from mlinfra.model.patterns import pattern

_CONSTANTS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
    **{sign + word: number for word in (".inf", ".Inf", ".INF")
       for sign, number in (("", math.inf), ("+", math.inf), ("-", -math.inf))},
}  # fmt: skip
_NUMBER = pattern(
    r"(?P<int>[-+]?(?:0|[1-9][0-9]*))\Z"
    r"|(?P<hex>0x[0-9a-fA-F]+)\Z"
    r"|(?P<oct>0o[0-7]+)\Z"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?)\Z"
)
_STARTS = frozenset("+-.0123456789")
MEANS_MORE = frozenset({*_STARTS, *(text[0] for text in _CONSTANTS if text)})
"""The first characters of whatever may be something else than text."""
_BASES = {"int": 10, "hex": 16, "oct": 8}
_LARGEST = 2**63
_MOST_DIGITS = 100
"""Longer texts are not even tried: they cannot fit, and Python refuses to read them."""


def plain(text: str) -> Any:
    """The value of a plain scalar. ValueError with a sentence when it is a number that fits into no 64 bits."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _STARTS:
        return text
    match = _NUMBER.match(text)
    if match is None:
        return text
    if match["float"] is not None:
        number = float(text)
        if math.isinf(number):
            raise ValueError("this number is too large; quote it if it is text")
        return number
    whole = int(text, _BASES[match.lastgroup or "int"]) if len(text) <= _MOST_DIGITS else _LARGEST
    if not -_LARGEST <= whole < _LARGEST:
        raise ValueError("this whole number does not fit into 64 bits; quote it if it is text")
    return whole


class PlainValues(dict[str, Any]):
    """The values of one file's plain scalars: each text is worked out once. ValueError as from :func:`plain`."""

    def __missing__(self, text: str) -> Any:
        value = self[text] = plain(text)
        return value
