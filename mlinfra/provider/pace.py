"""How many calls a second may start: any number, until the cloud throttles.

From then on a little less than what got through lately, and from there more and more while the cloud stays quiet. A bound on calls
under way cannot do that: where a call takes 5 ms, even one at a time is 200 a second.

What got through is what started and was not refused. To wait for good answers would miss most of it: a cloud refuses at once, and takes its
time for what it lets through.
"""

from __future__ import annotations

import math
from collections import deque

WINDOW = 1.0
"""Seconds over which it is counted what gets through."""
SHORTEST = 0.05
"""The least of it that says anything."""
BACK = 0.9
"""The part of what got through that is tried next."""
LEAST = 2.0
"""Calls a second that are always tried."""
LATE = 0.05
"""Seconds that a late start may be made up for."""
QUIET = 12.0
"""Seconds without throttling after which nothing is bounded any more."""


class Pace:
    """All times are seconds of one monotonic clock, which the caller reads."""

    def __init__(self) -> None:
        self._started: deque[float] = deque()
        self._refused: deque[float] = deque()
        self._first: float | None = None
        self._last = -math.inf
        self._base = math.inf
        self._throttled = -math.inf

    def rate(self, now: float) -> float:
        """Calls a second that may start now. It grows by e^(t²/10): a tenth in the first second, a hundredfold in seven."""
        quiet = now - self._throttled
        return self._base * math.exp(quiet * quiet / 10) if quiet < QUIET else math.inf

    def due(self, now: float) -> float:
        """When the next call may start, as it looks now."""
        return self._last + 1 / self.rate(now)

    def started(self, now: float) -> None:
        """A call starts. One that was due a moment ago does not make the next one late as well."""
        if self._first is None:
            self._first = now
        self._last = max(self.due(now), now - LATE)
        self._started.append(now)
        _forget(self._started, now)

    def throttled(self, now: float, started: float | None = None) -> None:
        """A call was refused because there are too many: the one that started then, or one that is still being repeated."""
        self._refused.append(now if started is None else started)
        _forget(self._started, now)
        _forget(self._refused, now)
        since = now - (now if self._first is None else self._first)
        through = len(self._started) - len(self._refused)
        self._base = max(LEAST, BACK * through / min(max(since, SHORTEST), WINDOW))
        self._throttled = now


def _forget(times: deque[float], now: float) -> None:
    while times and times[0] < now - WINDOW:
        times.popleft()
