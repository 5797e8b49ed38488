"""The whole truth for apply: changes (what and why) and steps (how, in which order)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from mlinfra.model.change import Action, Change, Drift
from mlinfra.model.cost import Cost, CostTotal, total
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.policy import Verdict
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.values import EMPTY, Map, Value


class Operation(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    READ = "read"
    IMPORT = "import"
    FORGET = "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation. ``change`` and ``needs`` are indexes into the plan's changes and steps; needs are always earlier."""

    operation: Operation
    change: int
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChange:
    name: str
    before: Value
    after: Value
    sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``resources``  the wanted resources by address, for every change that makes something
    ``reads``      (address → version seen) of every object that was read
    ``moves``      (from → to) applied to the state before the steps
    ``outputs``    the outputs' expressions; ``output_changes`` what is known of their values
    ``prior``      what refresh saw of every object that a step touches or refers to, by (address, deposed key)
    ``records``    objects to be recorded anew though no step touches them: drift taken note of, protection switched on
    ``gone``       (address, deposed key) of what refresh did not find any more
    ``blocked``    a problem for each address whose last create cannot be resolved: it and what depends on it are left alone
    ``needs``      address → the addresses that it depends on, of everything wanted or recorded, for those who draw the graph
    ``verdicts``   the policies that the plan breaks
    ``standing``   what a month of each resource costs that no change speaks of (left out by ``--target``), by address
    ``mode``       normal · destroy · refresh_only
    """

    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    reads: Mapping[str, int] = EMPTY
    resources: Mapping[str, Resource] = EMPTY
    prior: Mapping[tuple[str, str], ResourceState] = field(default_factory=dict)
    records: tuple[ResourceState, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    drift: tuple[Drift, ...] = ()
    outputs: Map = EMPTY
    sensitive_outputs: tuple[str, ...] = ()
    output_changes: tuple[OutputChange, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    blocked: tuple[Diagnostic, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    standing: Mapping[str, Cost] = field(default_factory=dict)
    spec_digest: str = ""
    lineage: str = ""
    serial: int = 0
    project: str = ""
    environment: str = ""
    mode: str = "normal"

    def counts(self) -> Counter[str]:
        """How many to add, change, destroy, import, run; a replacement counts as one added and one destroyed."""
        totals: Counter[str] = Counter()
        for change in self.changes:
            if change.action in (Action.CREATE, Action.REPLACE):
                totals["add"] += 1
            if change.action in (Action.DELETE, Action.REPLACE):
                totals["destroy"] += 1
            if change.action is Action.UPDATE:
                totals["change"] += 1
            if change.action is Action.IMPORT:
                totals["import"] += 1
                totals["change"] += 1 if change.attributes else 0
            if change.action is Action.FORGET:
                totals["forget"] += 1
            if change.runs and change.action in (Action.CREATE, Action.UPDATE, Action.REPLACE):
                totals["run"] += 1
        return totals

    def cost(self) -> CostTotal | None:
        """A month of everything that the plan knows of, before and after; None when nothing of it has a price."""
        changed = [(c.address, c.cost_before, c.cost_after) for c in self.changes]
        return total([*changed, *((a, cost, cost) for a, cost in self.standing.items())])

    @property
    def is_empty(self) -> bool:
        """Nothing to do and no output to change. There may still be something to take note of (``has_notes``)."""
        return not self.steps and not self.output_changes and not self.moves

    @property
    def refused(self) -> bool:
        """Whether a policy forbids to apply it."""
        return any(v.refuses for v in self.verdicts)

    @property
    def has_notes(self) -> bool:
        """Apply has something to write into the state though nothing changes in the world."""
        return bool(self.records or self.gone)
