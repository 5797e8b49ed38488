"""Start-up: a command that does nothing, and a plan of one resource."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.measuring import MLINFRA, in_turn, measure
from benchmarks.report import Goal, Row, Section
from benchmarks.terraform import BINARY, Terraform

RUNS = 11


def run(section: Section, folder: Path) -> None:
    goal = Goal(work="`mlinfra version` against `terraform version`", most=1.0)
    section.goals.append(goal)
    script = Path(sys.executable).with_name("mlinfra")
    version = [str(script) if script.exists() else "mlinfra", "version"]
    work = [partial(measure, version, folder), partial(measure, [sys.executable, "-c", "pass"], folder)]
    if BINARY:
        work.append(partial(measure, [BINARY, "version"], folder))
    ours, python, *theirs = in_turn(RUNS, *work)
    section.rows.append(Row(work="version", ours=ours, theirs=theirs[0] if theirs else None))
    section.rows.append(Row(work="Python itself (`python -c pass`)", ours=python))
    if theirs:
        goal.found = ours.wall / theirs[0].wall
    (folder / "mlinfra.yaml").write_text("version: 1\nproject: one\nresources: {one: {kind: data, input: 1}}\n")
    measure([*MLINFRA, "apply", "--yes"], folder)
    plan = partial(measure, [*MLINFRA, "plan"], folder)
    if BINARY:
        (folder / "main.tf").write_text('resource "terraform_data" "one" {\n  input = 1\n}\n')
        peer = Terraform(folder)
        peer.apply()
        mine, other = in_turn(RUNS // 2, plan, peer.plan)
        section.rows.append(Row(work="no-op plan of one resource", ours=mine, theirs=other))
    else:
        section.rows.append(Row(work="no-op plan of one resource", ours=in_turn(RUNS // 2, plan)[0]))
