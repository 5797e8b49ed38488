"""Whole-process figures of the engine on `data` resources: 1,000 in chains of ten, and the command's start-up.

    python benchmarks/engine.py [N]

Prints a table: wall and CPU seconds, CPU beyond start-up, peak memory, and the ratio of `mlinfra version` to `python -c pass`. Every figure
is the median of five runs, taken in turn. Needs nothing but the installed command.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = 5


@dataclass(frozen=True, slots=True)
class Figures:
    wall: float
    cpu: float
    memory: float
    """MB at the peak."""


def measure(command: Sequence[str], folder: Path) -> Figures:
    """One run in ``folder``; fails when the command does."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in (0, 2):
        raise SystemExit(f"{command} failed: {process.stderr.read().decode() if process.stderr else ''}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(found: Sequence[Figures]) -> Figures:
    return Figures(*(statistics.median(getattr(f, name) for f in found) for name in ("wall", "cpu", "memory")))


def write_spec(folder: Path, count: int) -> None:
    lines = ["version: 1", "project: bench", "resources:"]
    for number in range(count):
        chain, link = divmod(number, 10)
        value = f"${{r{chain}_{link - 1}.output}}" if link else f"chain {chain}"
        lines.append(f"  r{chain}_{link}: {{kind: data, input: '{value}'}}")
    (folder / "mlinfra.yaml").write_text("\n".join(lines) + "\n")


def main(count: int) -> None:
    mlinfra = shutil.which("mlinfra") or str(Path(sys.executable).with_name("mlinfra"))
    work = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "version": [mlinfra, "version"],
        "start-up": [mlinfra, "plan", "-C", "empty"],
        "validate": [mlinfra, "validate"],
        "plan": [mlinfra, "plan"],
        "apply": [mlinfra, "apply", "--yes"],
        "no-op plan": [mlinfra, "plan", "--detailed-exitcode"],
        "destroy": [mlinfra, "destroy", "--yes"],
    }
    found: dict[str, list[Figures]] = {name: [] for name in work}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_spec(folder, count)
        (folder / "empty").mkdir()
        (folder / "empty/mlinfra.yaml").write_text("version: 1\nproject: empty\nresources: {one: {kind: data}}\n")
        for _ in range(RUNS):
            for title, command in work.items():
                found[title].append(measure(command, folder))
    figures = {title: median(runs) for title, runs in found.items()}
    start = figures["start-up"].cpu
    print(f"{count} data resources in chains of ten, medians of {RUNS} runs, {os.cpu_count()} cores\n")
    print(f"{'work':16}{'wall s':>9}{'cpu s':>9}{'beyond start-up':>17}{'peak MB':>9}")
    for title, f in figures.items():
        print(f"{title:16}{f.wall:9.3f}{f.cpu:9.3f}{max(0.0, f.cpu - start):17.3f}{f.memory:9.0f}")
    ratio = figures["version"].wall / figures["python -c pass"].wall
    print(f"\nmlinfra version against python -c pass, wall: {ratio:.2f}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
