"""Cron as people write it (five fields) as EventBridge writes it (six).

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html: a year is added, days of the week count
from 1 (Sunday), and of the two fields for days one must be ``?``.
"""

from __future__ import annotations

from mlinfra.kinds.cron import weekdays

_ALIASES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


def to_eventbridge(cron: str) -> str:
    """``0 3 * * 1`` is ``cron(0 3 ? * 2 *)``. ValueError when both kinds of days are given, which EventBridge cannot."""
    minute, hour, day, month, weekday = _ALIASES.get(cron.strip(), cron).split()
    if day != "*" and weekday != "*":
        raise ValueError(f"EventBridge takes a day of the month or of the week, not both: {cron!r}")
    if weekday != "*":
        day = "?"
        weekday = ",".join(str(d + 1) for d in weekdays(weekday))
    else:
        weekday = "?"
    return f"cron({minute} {hour} {day} {month.upper()} {weekday} *)"
