"""One command as a whole process: what the operating system says it took, from outside."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.residence import Residence

MLINFRA = [sys.executable, "-m", "mlinfra"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "CHECKPOINT_DISABLE": "1",
    "TF_IN_AUTOMATION": "1",
    "NO_COLOR": "1",
}
"""An installed mlinfra has its bytecode; Terraform must not ask for news."""
LONGEST = 600.0
"""Seconds after which a command is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Seconds of wall time and of processor time, MB at the peak of all processes together and of the largest one, MB handed to ``write``
    by the first one, and requests that a server counted."""

    wall: float
    cpu: float
    memory: float
    largest: float
    written: float = 0.0
    requests: float = 0.0


class NotMeasured(Exception):
    """A command failed, or took longer than it may: the rest of its workload is left out."""


def measure(command: Sequence[str], folder: Path, environment: Mapping[str, str] = ENVIRONMENT) -> Figures:
    """Run ``command`` in ``folder``. NotMeasured with what it said when it fails; 2, changes, is no failure."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        alarm = threading.Timer(LONGEST, process.kill)
        alarm.start()
        with Residence(process.pid) as kept:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            wall = time.perf_counter() - began
        alarm.cancel()
        written = _written(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 2):
            said.seek(0)
            words = said.read().decode(errors="replace")[-2000:]
            raise NotMeasured(f"`{' '.join(map(str, command))}` ended with {process.returncode} after {wall:.0f} s {words}")
    largest = kept.largest or usage.ru_maxrss / 1024
    return Figures(
        wall=wall, cpu=usage.ru_utime + usage.ru_stime, memory=kept.together or largest, largest=largest, written=written / 1e6
    )


def output(command: Sequence[str], folder: Path, environment: Mapping[str, str] = ENVIRONMENT) -> str:
    """What a part of the benchmark itself prints. NotMeasured when it fails or takes too long."""
    try:
        ran = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=LONGEST)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotMeasured(str(error)) from None
    return ran.stdout


def _written(process: int) -> int:
    """Bytes that the ended process handed to the kernel; 0 where nobody counts them."""
    try:
        lines = Path(f"/proc/{process}/io").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.partition(":")[2]) for line in lines if line.startswith("wchar:")), 0)


def median(runs: Sequence[Figures]) -> Figures:
    """Figure by figure."""
    return Figures(**{f.name: statistics.median(getattr(run, f.name) for run in runs) for f in fields(Figures)})


def in_turn(runs: int, *work: Callable[[], Figures]) -> list[Figures]:
    """The medians of each, run in turn (A B A B …), so that a slow minute of the machine hits all alike."""
    found: list[list[Figures]] = [[] for _ in work]
    for _ in range(runs):
        for figures, act in zip(found, work, strict=True):
            figures.append(act())
    return [median(figures) for figures in found]


def progress(text: str) -> None:
    """Say what is being measured."""
    print(f"  {time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)
