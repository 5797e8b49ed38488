"""Stacks of thirteen AWS objects, made in moto by us, by Terraform's AWS provider, and by boto3 alone."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from benchmarks import thirteen_objects
from benchmarks.measuring import ENVIRONMENT, MLINFRA, Figures, measure, output, progress
from benchmarks.report import Goal, Row, Section
from benchmarks.terraform import BINARY, Terraform, mirror
from mlinfra.provider.registry import Registry

ROOT = Path(__file__).parent.parent
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
KEYED = {**ENVIRONMENT, **CREDENTIALS}


@contextmanager
def moto() -> Iterator[str]:
    """The address of a fresh AWS in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.counting_moto"]
    # moto's own tracebacks: whoever called says what failed
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.terminate()


def asked(url: str) -> int:
    """Requests since this was last called."""
    with urllib.request.urlopen(f"{url}/bench/requests") as answer:
        return int(answer.read())


class Side:
    """One tool with an AWS of its own."""

    def __init__(self, folder: Path, url: str, count: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.url, self.count = folder, url, count

    def counted(self, act: Callable[[], Figures]) -> Figures:
        asked(self.url)
        found = act()
        return replace(found, requests=float(asked(self.url)))

    def write(self, artifact: str) -> None:
        raise NotImplementedError

    def run(self, what: str) -> Figures:
        raise NotImplementedError


class Ours(Side):
    WORDS: ClassVar[dict[str, tuple[str, ...]]] = {
        "plan": ("plan",),
        "apply": ("apply", "--yes"),
        "no-op plan": ("plan",),
        "no-op plan without refresh": ("plan", "--no-refresh"),
        "apply of one changed object": ("apply", "--yes"),
        "destroy": ("destroy", "--yes"),
    }

    def write(self, artifact: str) -> None:
        (self.folder / "mlinfra.yaml").write_text(thirteen_objects.spec(self.count, self.url, artifact))

    def run(self, what: str) -> Figures:
        return self.counted(lambda: measure([*MLINFRA, *self.WORDS[what]], self.folder, KEYED))


class Theirs(Side):
    def __init__(self, folder: Path, url: str, count: int, plugins: Path) -> None:
        super().__init__(folder, url, count)
        self.write("weights")
        self.terraform = Terraform(folder, plugins)

    def write(self, artifact: str) -> None:
        (self.folder / "main.tf").write_text(thirteen_objects.terraform(self.count, self.url, artifact))

    def run(self, what: str) -> Figures:
        t = self.terraform
        acts: dict[str, Callable[[], Figures]] = {
            "plan": t.plan,
            "apply": t.apply,
            "no-op plan": t.plan,
            "no-op plan without refresh": lambda: t.plan("-refresh=false"),
            "apply of one changed object": t.apply,
            "destroy": t.destroy,
        }
        return self.counted(acts[what])


def floor(count: int, threads: int) -> float:
    """Seconds of boto3's bare calls."""
    with moto() as url:
        command = [sys.executable, "-m", "benchmarks.aws_floor", url, str(count), str(threads)]
        return float(output(command, ROOT, KEYED))


def run(section: Section, folder: Path, *, quick: bool) -> None:
    sizes = (5,) if quick else (10, 50)
    goals = _goals(sizes[-1])
    section.goals += goals.values()
    missing = [name for name in ("boto3", "moto", "mlinfra_aws") if find_spec(name) is None]
    if not missing:
        missing = sorted(thirteen_objects.TYPES - set(Registry().get("aws").types))
    if missing:
        section.remarks.append(f"Left out: {', '.join(missing)} is not installed.")
        return
    plugins = mirror() if BINARY else None
    if plugins is None:
        section.remarks.append("Terraform's AWS provider was not found in a local plugin folder: measured alone.")
    for count in sizes:
        _stacks(section, goals if count == sizes[-1] else _goals(count), folder / str(count), count, plugins)


def _goals(count: int) -> dict[str, Goal]:
    return {
        "wall": Goal(work=f"AWS × {count}: no-op plan, wall", most=0.2),
        "requests": Goal(work=f"AWS × {count}: no-op plan, requests", most=0.25),
        "memory": Goal(work=f"AWS × {count}: no-op plan, peak memory", most=0.15),
        "floor": Goal(work=f"AWS × {count}: apply, against boto3's threaded floor", most=1.4),
    }


def _stacks(section: Section, goals: dict[str, Goal], folder: Path, count: int, plugins: Path | None) -> None:
    with moto() as mine, moto() as other:
        ours = Ours(folder / "ours", mine, count)
        ours.write("weights")
        theirs = Theirs(folder / "theirs", other, count, plugins) if plugins is not None else None
        found: dict[str, Row] = {}
        for what in Ours.WORDS:
            if what == "apply of one changed object":
                ours.write("other weights")
                if theirs is not None:
                    theirs.write("other weights")
            progress(f"AWS × {count}: {what}")
            row = Row(work=f"× {count}: {what}", ours=ours.run(what), theirs=theirs.run(what) if theirs else None)
            found[what] = row
            section.rows.append(row)
            if what == "no-op plan" and row.theirs is not None:
                for figure in ("wall", "requests", "memory"):
                    goals[figure].found = getattr(row.ours, figure) / getattr(row.theirs, figure)
                alone = row.ours.largest / row.theirs.largest
                goals["memory"].detail = f"(against the larger of Terraform's two processes alone: {alone:.3g} ×)"
    bare = {}
    for threads in (1, 64):
        progress(f"AWS × {count}: boto3 alone, threads: {threads}")
        bare[threads] = floor(count, threads)
        section.remarks.append(f"× {count}, made by boto3 alone with {threads} thread(s): {bare[threads]:.2f} s")
    goals["floor"].found = found["apply"].ours.wall / bare[64]
