"""What was measured, as rows; and the tables that they make."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.measuring import Figures
from mlinfra import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``theirs`` None: measured alone, and ``why`` says why where that is not plain."""

    work: str
    ours: Figures
    theirs: Figures | None = None
    why: str = ""


@dataclass(slots=True, kw_only=True)
class Goal:
    """A bound that the project has set itself: ``found`` must be at most ``most``; None until, and unless, it was measured."""

    work: str
    most: float
    found: float | None = None
    detail: str = ""

    @property
    def row(self) -> str:
        if self.found is None:
            return f"| {self.work} | | {self.most:g} × | not measured |"
        verdict = "kept" if self.found <= self.most else "**missed**"
        return f"| {self.work} | {self.found:.3g} × | {self.most:g} × | {' '.join([verdict, self.detail]).strip()} |"


@dataclass(slots=True)
class Section:
    """One workload: its rows, the goals that it decides, remarks in plain words."""

    title: str
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def machine() -> str:
    """Where and when, as people quote it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, mlinfra {__version__}, load at the start {os.getloadavg()[0]:.1f}"
    )


def terraform_version(terraform: str | None) -> str:
    if terraform is None:
        return "Terraform: not installed"
    said = subprocess.run([terraform, "version"], capture_output=True, text=True, check=True, env={"CHECKPOINT_DISABLE": "1"})
    return said.stdout.splitlines()[0]


def markdown(sections: Sequence[Section]) -> str:
    """Goals first, then a table a workload."""
    goals = [goal for section in sections for goal in section.goals]
    out = []
    if goals:
        out += ["## Goals", "", "| work | found | at most | |", "|---|---:|---:|---|"]
        out += [goal.row for goal in goals]
        out.append("")
    for section in sections:
        out += [f"## {section.title}", ""]
        if section.rows:
            out += _table(section.rows)
        out += [f"- {remark}" for remark in section.remarks]
        out.append("")
    return "\n".join(out)


def _table(rows: Sequence[Row]) -> list[str]:
    counted = any(r.ours.requests for r in rows)
    titles = ["wall s", "CPU s", "peak MB", "written MB", *(["requests"] if counted else [])]
    out = [
        "| work | " + " | ".join(f"{t}, ours | theirs | ratio" for t in titles) + " |",
        "|---|" + "---:|" * (3 * len(titles)),
    ]
    for row in rows:
        cells = []
        for name in ("wall", "cpu", "memory", "written", *(["requests"] if counted else [])):
            ours = getattr(row.ours, name)
            theirs = getattr(row.theirs, name) if row.theirs is not None else None
            cells += [_number(ours), _number(theirs), f"{ours / theirs:.3f}" if theirs else ""]
        out.append(f"| {row.work}{f' ({row.why})' if row.why else ''} | " + " | ".join(cells) + " |")
    return [*out, ""]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
