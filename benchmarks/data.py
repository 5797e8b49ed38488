"""``data`` beside ``terraform_data``: resources that need no world, so that what is measured is the engine alone."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import MLINFRA, Figures, in_turn, measure, progress
from benchmarks.report import Goal, Row, Section
from benchmarks.terraform import BINARY, Terraform, write_state

LINKS = 10
"""Resources in a chain."""


@dataclass(frozen=True, slots=True)
class Shape:
    """``chained``: each refers to the one before it, ten in a chain. ``for_each``: one block makes them all."""

    name: str
    chained: bool = False
    for_each: bool = False

    def spec(self, count: int, first: str = "one") -> str:
        """Our spec. ``first`` is the value of the first resource, which its chain repeats."""
        lines = ["version: 1", "project: bench", "resources:"]
        if self.for_each:
            items = {f"k{n}": first if n == 0 else f"value {n}" for n in range(count)}
            lines.append(f"  r: {{kind: data, for_each: {json.dumps(items)}, input: '${{each.value}}'}}")
            return "\n".join(lines) + "\n"
        for n in range(count):
            value = f"${{r{n - 1}.output}}" if self._refers(n) else self._value(n, first)
            lines.append(f"  r{n}: {{kind: data, input: '{value}'}}")
        return "\n".join(lines) + "\n"

    def terraform(self, count: int, first: str = "one") -> str:
        """The same for Terraform."""
        if self.for_each:
            items = {f"k{n}": first if n == 0 else f"value {n}" for n in range(count)}
            return f'resource "terraform_data" "r" {{\n  for_each = {json.dumps(items)}\n  input    = each.value\n}}\n'
        blocks = []
        for n in range(count):
            value = f"terraform_data.r{n - 1}.output" if self._refers(n) else f'"{self._value(n, first)}"'
            blocks.append(f'resource "terraform_data" "r{n}" {{\n  input = {value}\n}}\n')
        return "".join(blocks)

    def values(self, count: int) -> tuple[dict[str, str], dict[str, list[str]]]:
        """What an apply makes: every resource's value, and what it depends on, through the whole chain."""
        begin = [n - n % LINKS if self.chained else n for n in range(count)]
        values = {f"r{n}": self._value(begin[n], "one") for n in range(count)}
        return values, {f"r{n}": [f"r{need}" for need in range(begin[n], n)] for n in range(count)}

    def _refers(self, n: int) -> bool:
        return self.chained and n % LINKS > 0

    @staticmethod
    def _value(n: int, first: str) -> str:
        return first if n == 0 else f"value {n}"


CHAINS = Shape("chains of ten", chained=True)
INDEPENDENT = Shape("independent")
FOR_EACH = Shape("for_each", for_each=True)


class Work:
    """Both sides of one size and shape. ``limit``: Terraform applies and destroys no more than so many; above, its state is written
    for it."""

    def __init__(self, folder: Path, shape: Shape, count: int, runs: int, limit: int, peer: bool = True) -> None:
        self.ours, self.folder = folder / "ours", folder
        self.ours.mkdir()
        self.shape, self.count, self.runs = shape, count, runs
        self.applies = count <= limit
        self.peer: Terraform | None = None
        (self.ours / "mlinfra.yaml").write_text(shape.spec(count))
        if BINARY and peer:
            theirs = folder / "theirs"
            theirs.mkdir()
            (theirs / "main.tf").write_text(shape.terraform(count))
            self.peer = Terraform(theirs)

    def mlinfra(self, *words: str) -> Figures:
        return measure([*MLINFRA, *words], self.ours)

    def row(
        self, name: str, ours: Callable[[], Figures], theirs: Callable[[], Figures] | None, runs: int = 1, why: str = ""
    ) -> Row:
        progress(f"{self.count:,} data, {self.shape.name}: {name}")
        work = [ours, *([theirs] if theirs is not None else [])]
        found = in_turn(runs, *work)
        return Row(
            work=f"{self.count:,} {self.shape.name}: {name}", ours=found[0], theirs=found[1] if found[1:] else None, why=why
        )

    def all(self) -> dict[str, Row]:
        """The life of a stack, in order."""
        peer = self.peer
        why = "" if self.applies or not peer else "Terraform not tried: it rewrites its state after each"
        theirs: dict[str, Callable[[], Figures]] = {}
        if peer:
            theirs = {"validate": peer.validate, "plan": peer.plan, "no-op plan": peer.plan}
            if self.applies:
                theirs |= {"apply": peer.apply, "change": peer.apply, "destroy": peer.destroy}
        validate, plan = partial(self.mlinfra, "validate"), partial(self.mlinfra, "plan")
        apply, destroy = partial(self.mlinfra, "apply", "--yes"), partial(self.mlinfra, "destroy", "--yes")
        found = {
            "validate": self.row("validate", validate, theirs.get("validate"), self.runs),
            "plan": self.row("plan", plan, theirs.get("plan"), self.runs),
            "apply": self.row("apply", apply, theirs.get("apply"), why=why),
        }
        if peer and not self.applies:
            write_state(peer.folder, *self.shape.values(self.count))
        found["no-op plan"] = self.row("no-op plan", plan, theirs.get("no-op plan"), self.runs)
        (self.ours / "mlinfra.yaml").write_text(self.shape.spec(self.count, "another"))
        if peer:
            (peer.folder / "main.tf").write_text(self.shape.terraform(self.count, "another"))
        found["one change"] = self.row("apply of one changed value", apply, theirs.get("change"))
        found["destroy"] = self.row("destroy", destroy, theirs.get("destroy"), why=why)
        return found


PAIRS = (
    (1_000, "no-op plan", "wall", 0.25, "no-op plan of 1,000 `data`, wall"),
    (10_000, "no-op plan", "wall", 0.06, "no-op plan of 10,000 `data`, wall"),
    (10_000, "no-op plan", "memory", 0.25, "no-op plan of 10,000 `data`, peak memory"),
    (1_000, "apply", "wall", 0.03, "apply of 1,000 `data`, local state, wall"),
    (1_000, "destroy", "wall", 0.02, "destroy of 1,000 `data`, local state, wall"),
)
"""Goals against Terraform, in chains of ten: how many, which row, which figure, how much of Terraform's at most, in words."""
GROWTH = 11.0


def run(section: Section, folder: Path, *, quick: bool) -> None:
    """1,000 in every shape, 10,000 (which Terraform only plans) and, for us alone, 100,000 in chains; quick: 200, and 1,000 that
    Terraform does not apply."""
    against = [Goal(work=title, most=most) for _, _, _, most, title in PAIRS]
    growth = {row: Goal(work=f"our own growth from 10,000 to 100,000, {row}", most=GROWTH) for row in ("plan", "apply")}
    section.goals += [*against, *growth.values()]
    section.remarks.append(
        "State that Terraform is not asked to write (it rewrites all of it after each resource) is written for it, as it would be."
    )
    chains: dict[int, dict[str, Row]] = {}
    limit = 200 if quick else 1_000
    sizes = [(CHAINS, 200), (CHAINS, 1_000), (CHAINS, 10_000)]
    if not quick:
        sizes = [
            (CHAINS, 1_000),
            (CHAINS, 10_000),
            (CHAINS, 100_000),
            (INDEPENDENT, 1_000),
            (FOR_EACH, 1_000),
            (FOR_EACH, 10_000),
        ]
    for shape, count in sizes:
        peer = count <= 1_000 or (shape is CHAINS and count == 10_000 and not quick)
        runs = 3 if shape is CHAINS and count <= 10_000 and not quick else 1
        with TemporaryDirectory(dir=folder) as place:
            rows = Work(Path(place), shape, count, runs, limit, peer).all()
        section.rows += rows.values()
        if shape is CHAINS:
            chains[count] = rows
        for goal, (size, row, figure, _, _) in zip(against, PAIRS, strict=True):
            pair = chains.get(size, {}).get(row)
            if pair is not None and pair.theirs is not None:
                goal.found = getattr(pair.ours, figure) / getattr(pair.theirs, figure)
        if count == 100_000:
            with TemporaryDirectory(dir=folder) as place:
                after = Work(Path(place), CHAINS, 10_000, 1, 0, peer=False).all()
            for row, goal in growth.items():
                around = [rows[row].ours.wall for rows in (chains[10_000], after)]  # a machine's speed may change in minutes
                goal.found = chains[100_000][row].ours.wall / statistics.mean(around)
                goal.detail = f"(10,000 before and after it: {around[0]:.2f} and {around[1]:.2f} s)"
