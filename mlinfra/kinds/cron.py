"""Cron schedules: five fields, or ``@daily`` and its like. Only checks; whoever runs the schedule reads it."""

from __future__ import annotations

import re

_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
SHORTHANDS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
"""The short forms, and what they mean in five fields."""
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?\Z")
_LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def check_cron(text: str) -> str:
    """The schedule itself. ValueError with a sentence when it is no cron schedule, or names a day that never comes."""
    if text.startswith("@"):
        if text not in SHORTHANDS:
            raise ValueError(f"{text!r} is no schedule; the short forms are {', '.join(SHORTHANDS)}")
        return text
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            f"{text!r} has {len(fields)} field{'s' if len(fields) != 1 else ''}, and a cron schedule has five: "
            'minute hour day-of-month month day-of-week, like "0 3 * * *"'
        )
    values = [_field(field, *limits) for field, limits in zip(fields, _FIELDS, strict=True)]
    days, months = values[2], values[3]
    if fields[4] == "*" and fields[2] != "*" and all(min(days) > _LONGEST_MONTH.get(month, 31) for month in months):
        raise ValueError(f"{text!r} never comes: no such month has a day {min(days)}")
    return text


def weekdays(field: str) -> tuple[int, ...]:
    """The days that the fifth field of a checked schedule names: 0 is Sunday, 6 is Saturday."""
    return tuple(sorted({day % 7 for day in _field(field, *_FIELDS[4])}))


def _field(field: str, name: str, low: int, high: int, words: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.match(item)
        if match is None:
            raise ValueError(f"{item!r} is no {name} of a cron schedule; write a number, *, a range a-b, or */n")
        step = int(match[4]) if match[4] else 1
        if step < 1:
            raise ValueError(f"{item!r}: a step of 0 in the {name} of a cron schedule")
        first = low if match[1] else _number(match[2], name, low, high, words)
        last = high if match[1] or (match[4] and not match[3]) else _number(match[3] or match[2], name, low, high, words)
        if first > last:
            raise ValueError(f"{item!r} runs backwards in the {name} of a cron schedule")
        found.update(range(first, last + 1, step))
    return found


def _number(text: str, name: str, low: int, high: int, words: tuple[str, ...]) -> int:
    if text.lower() in words:
        return words.index(text.lower()) + low
    if not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"{text!r} is no {name} of a cron schedule: {low} to {high}")
    return int(text)
