"""Calls a second, against clouds that let a hundred a second through. No real time passes: the clock is a number."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import pytest

from mlinfra.provider.pace import LEAST, Pace

ALLOWED = 100

Server = Callable[[float], bool]


def bucket(size: int) -> Server:
    """Lets ``size`` calls through at once, and then as many as trickle in."""
    left, since = float(size), 0.0

    def answer(now: float) -> bool:
        nonlocal left, since
        left, since = min(size, left + (now - since) * ALLOWED), now
        if left < 1:
            return False
        left -= 1
        return True

    return answer


def window() -> Server:
    """Lets the first hundred calls of every second through."""
    second, seen = -1, 0

    def answer(now: float) -> bool:
        nonlocal second, seen
        if int(now) != second:
            second, seen = int(now), 0
        seen += 1
        return seen <= ALLOWED

    return answer


def work_off(server: Server, calls: int) -> tuple[float, int]:
    """Seconds until ``calls`` got through, one call after the other, each of 1 ms; and how many were refused."""
    pace, now, refused = Pace(), 0.0, 0
    while calls:
        began = now = max(now, pace.due(now))
        pace.started(now)
        now += 0.001
        if server(now):
            calls -= 1
        else:
            pace.throttled(now, began)
            refused += 1
    return now, refused


def work_off_together(server: Server, calls: int, latency: float) -> tuple[float, int]:
    """The same with 64 calls under way: what is let through is answered after ``latency`` seconds, what is refused after a thousandth."""
    pace, now, refused, through = Pace(), 0.0, 0, 0
    answers: list[tuple[float, float, bool]] = []
    while through < calls:
        due = max(now, pace.due(now))
        if len(answers) < min(64, calls - through) and (not answers or due <= answers[0][0]):
            now = due
            pace.started(now)
            good = server(now)
            heapq.heappush(answers, (now + (latency if good else 0.001), now, good))
        else:
            now, began, good = heapq.heappop(answers)
            if good:
                through += 1
            else:
                pace.throttled(now, began)
                refused += 1
    return now, refused


@pytest.mark.parametrize("server", [bucket(5), bucket(100), window()], ids=["5 at once", "100 at once", "window"])
def test_what_the_cloud_allows_is_used_and_little_is_refused(server: Server) -> None:
    seconds, refused = work_off(server, 2000)
    assert seconds < 1.2 * 2000 / ALLOWED
    assert refused < 1000


@pytest.mark.parametrize("latency", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("server", [bucket, lambda size: window()], ids=["bucket", "window"])
def test_what_is_still_under_way_counts_as_let_through(server: Callable[[int], Server], latency: float) -> None:
    seconds, refused = work_off_together(server(10), 1000, latency)
    assert seconds < 1.2 * 1000 / ALLOWED
    assert refused < 600


def test_nothing_is_bounded_before_the_first_refusal_and_long_after_the_last() -> None:
    pace = Pace()
    for call in range(1000):
        assert pace.due(call / 1e6) <= call / 1e6
        pace.started(call / 1e6)
    pace.throttled(1.0)
    assert pace.rate(1.0) < math.inf
    assert pace.rate(20.0) == math.inf


def test_refusals_while_nothing_gets_through_do_not_stop_everything() -> None:
    pace = Pace()
    for call in range(500):
        pace.started(call * 0.01)
        pace.throttled(call * 0.01, call * 0.01)
    assert LEAST <= pace.rate(5.0) < LEAST + 0.1


def test_a_late_start_is_made_up_for_but_not_a_long_pause() -> None:
    pace = Pace()
    for start in (0.0, 0.5, 1.0):
        pace.started(start)
    pace.throttled(1.0, 1.0)  # now about two a second
    step = 1 / pace.rate(1.0)
    pace.started(1.0 + step + 0.02)
    assert pace.due(1.0 + step + 0.02) < 1.0 + 2 * step + 0.02
    pace.started(10.0)
    assert pace.due(10.0) > 9.9
