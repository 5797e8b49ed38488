"""How many calls a second may start: any number, until the cloud throttles.

From then on a little less than what got through lately, and from there more and more while the cloud stays quiet. A bound on calls
under way cannot do that: where a call takes 5 ms, even one at a time is 200 a second.
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
        self._through: deque[float] = deque()
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

    def succeeded(self, now: float) -> None:
        """A call got through."""
        self._through.append(now)
        self._forget(now)

    def throttled(self, now: float) -> None:
        """A call was refused because there are too many."""
        self._forget(now)
        since = now - (now if self._first is None else self._first)
        self._base = max(LEAST, BACK * len(self._through) / min(max(since, SHORTEST), WINDOW))
        self._throttled = now

    def _forget(self, now: float) -> None:
        while self._through and self._through[0] < now - WINDOW:
            self._through.popleft()
