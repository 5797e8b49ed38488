"""What a step or job promises of its results: ``rows: "> 1000"``, ``null_rate(label): "< 0.01"``, ``accuracy: ">= 0.9"``.

The left side is a metric of ``metrics.json`` or a function over the table that the step wrote (or, when it writes nothing,
the one that it was given); the right side a comparison, a value to equal, or for ``columns`` a list of names.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TABLE_FUNCTIONS = ("rows", "columns")
COLUMN_FUNCTIONS = ("null_rate", "min", "max", "mean", "unique")

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(\s*(.*?)\s*\)\s*\Z", re.DOTALL)
_METRIC = re.compile(r"[A-Za-z_][\w./@-]*\Z")
_CONDITION = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(.+?)\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expectation:
    """``function`` is ``""`` for a metric, whose name is then ``argument``; ``columns`` holds names that must be there."""

    text: str
    function: str
    argument: str
    compare: str
    wanted: float | str | bool | None
    columns: tuple[str, ...] = ()

    @property
    def needs_table(self) -> bool:
        """Whether no metric can answer it. ``rows`` and ``columns`` may also be a metric of that name."""
        return bool(self.function)

    def holds(self, found: Any) -> bool:
        """Whether the value that was found meets the condition; False when the two cannot be compared."""
        if self.columns:
            return set(self.columns) <= set(found)
        if isinstance(found, float) and math.isnan(found):
            return False
        try:
            return _COMPARE[self.compare](found, self.wanted)
        except TypeError:
            return False

    @property
    def condition(self) -> str:
        """The right side as people write it."""
        if self.columns:
            return "to have " + ", ".join(self.columns)
        return f"{self.compare} {self.wanted}"


def parse_expectation(name: str, condition: Any) -> Expectation:
    """ValueError with a sentence when either side makes no sense."""
    call = _CALL.match(name)
    if call:
        function, argument = call[1], call[2].strip("\"'")
        if function not in COLUMN_FUNCTIONS:
            known = ", ".join([*TABLE_FUNCTIONS, *(f"{f}(column)" for f in COLUMN_FUNCTIONS)])
            raise ValueError(f"there is no function {function!r}; there are {known}")
        if not argument:
            raise ValueError(f"{function}() needs the name of a column: {function}(label)")
    elif name in COLUMN_FUNCTIONS[:1]:
        raise ValueError(f"{name} needs the name of a column: {name}(label)")
    elif _METRIC.match(name):
        function, argument = (name, "") if name in TABLE_FUNCTIONS else ("", name)
    else:
        raise ValueError(f"{name!r} is neither the name of a metric nor a function like null_rate(label)")
    text = name.strip()
    if isinstance(condition, (tuple, list)):
        if function != "columns" or not condition or not all(isinstance(c, str) for c in condition):
            raise ValueError('only columns takes a list (of column names); write a comparison like "> 1000"')
        return Expectation(text, function, argument, "", None, tuple(condition))
    return Expectation(text, function, argument, *_condition(condition))


def _condition(condition: Any) -> tuple[str, float | str | bool | None]:
    if isinstance(condition, (bool, int, float)):
        return "==", condition
    if not isinstance(condition, str) or not condition.strip():
        raise ValueError('write a comparison like "> 1000" or a value to equal')
    match = _CONDITION.match(condition)
    if match is None:
        if condition.strip()[0] in "<>=!":
            raise ValueError(f'{condition!r} is no comparison; write it like "> 1000", ">= 0.9" or "== 10"')
        return "==", _value(condition)
    wanted = _value(match[2])
    if match[1] not in ("==", "!=") and isinstance(wanted, (str, bool)):
        raise ValueError(f"{match[2]!r} is no number, and {match[1]} compares numbers")
    return match[1], wanted


def _value(text: str) -> float | str | bool:
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text.replace(",", "").replace("_", ""))
    except ValueError:
        pass
    try:
        percent = text.endswith("%")
        number = float(text.removesuffix("%"))
        return number / 100 if percent else number
    except ValueError:
        return text.strip("\"'")
