"""1,000 things that need nothing of each other, made by a server that takes its time, or that refuses what comes too fast."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import NotMeasured, output, progress
from benchmarks.report import Goal, Section

COUNT = 1_000
DELAY = 0.05
RATE = 100
ROOT = Path(__file__).parent.parent


@contextmanager
def server(delay: float, rate: float = 0.0) -> Iterator[int]:
    """A slow server on a port of its own."""
    command = [sys.executable, "-m", "benchmarks.slow_server", "--delay", str(delay), "--rate", str(rate)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def create(port: int, *how: str) -> float:
    """Seconds of the apply, or of the calls ``alone``. NotMeasured unless every creation worked."""
    command = [sys.executable, "-m", "benchmarks.thing_provider", str(port), str(COUNT), *how]
    said = output(command, ROOT)
    found = json.loads(said)
    if found["failed"] or found["added"] != COUNT:
        raise NotMeasured(f"of {COUNT} creations {found['failed']} failed: {said}")
    return float(found["seconds"])


def counts(port: int) -> tuple[int, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts") as answer:
        found = json.load(answer)
    return found["through"], found["refused"]


def run(section: Section, folder: Path, *, quick: bool) -> None:
    slow = Goal(work="1,000 creations at 50 ms, against 10 at a time", most=0.15)
    bounded = Goal(work=f"1,000 creations, {RATE} a second let through", most=1.2)
    section.goals += [slow, bounded]
    section.remarks += [
        "A provider of the benchmark's own makes one blocking HTTP call a thing, in a thread, as cloud SDKs do; scheduler, limiter, retries "
        "and the durable journal are the real ones with default settings. Seconds are the apply's own, without start-up and plan.",
        f"The throttling server takes 5 ms a call and lets {RATE} a second through.",
    ]
    progress(f"{COUNT:,} creations at {DELAY * 1000:.0f} ms a call")
    with server(DELAY) as port:
        taken = [(create(port), create(port, "alone")) for _ in range(1 if quick else 5)]
    seconds, alone = (statistics.median(times) for times in zip(*taken, strict=True))
    ten = COUNT * DELAY / 10
    slow.found = seconds / ten
    slow.detail = f"({seconds:.2f} s, not {ten:.0f}; its HTTP client alone, in as many threads: {alone:.2f} s)"
    progress(f"{COUNT:,} creations where {RATE} a second get through")
    with server(0.005, RATE) as port:
        seconds = create(port)
        _, refused = counts(port)
    bounded.found = seconds / (COUNT / RATE)
    bounded.detail = f"({seconds:.2f} s; {refused} calls refused, none failed)"
