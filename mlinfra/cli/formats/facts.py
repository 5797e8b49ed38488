"""What Markdown and HTML both say of a plan: changes in the order of their risk, their differences as lines, the graph of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlinfra.cli.render_plan import change_lines, sign_of
from mlinfra.cli.terminal import harmless
from mlinfra.model.address import component_of
from mlinfra.model.change import Action, Change, RiskLevel
from mlinfra.model.dataclass import dataclass
from mlinfra.model.plan import Plan

RISKS = (RiskLevel.DESTROYS_DATA, RiskLevel.INTERRUPTS_SERVING, RiskLevel.COSTS_MONEY, RiskLevel.SAFE)
"""From harmful to harmless."""
RISK_TITLES = {
    RiskLevel.DESTROYS_DATA: "Destroys data",
    RiskLevel.INTERRUPTS_SERVING: "Interrupts serving",
    RiskLevel.COSTS_MONEY: "Costs money",
    RiskLevel.SAFE: "Safe",
}
WIDTH = 110
"""Characters of a line of a difference, where it can be kept."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a difference: ``sign`` is ``+``, ``-``, ``~``, ``!`` (why it is replaced) or blank; ``text`` keeps its indentation."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A change as people read it."""

    change: Change
    sign: str
    verb: str
    why: str
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        deposed = f" (deposed {self.change.deposed})" if self.change.deposed else ""
        return harmless(self.change.address) + deposed


def facts(plan: Plan) -> list[Fact]:
    """Everything that changes, the riskiest first, else in the plan's order."""
    changes = [c for c in plan.changes if c.action is not Action.NOOP or c.moved_from]
    changes.sort(key=lambda c: RISKS.index(c.risk.level))
    return [_fact(c) for c in changes]


def _fact(change: Change) -> Fact:
    forced = next((a.forces_replacement for a in change.attributes if a.forces_replacement), "")
    why = change.reason or (f"cannot be changed in place: {forced}" if forced else "")
    if change.moved_from and not why and change.action is not Action.NOOP:
        why = f"moved from {change.moved_from}"
    lines = tuple(line_of(text) for text in change_lines(change, width=WIDTH))
    return Fact(change, sign_of(change), _verb(change), harmless(why), lines)


def _verb(change: Change) -> str:
    """What happens to it, as short as a cell of a table: ``will be created and run``."""
    action = change.action
    if action is Action.CREATE:
        return "will be created and run" if change.runs else "will be created"
    if action is Action.UPDATE:
        return "will run" if change.runs else "will be changed"
    if action is Action.REPLACE:
        return "will be replaced, the new one first" if change.create_first else "will be replaced"
    if action is Action.IMPORT:
        return f"will be imported from {change.import_id}"
    if action is Action.NOOP:
        return f"has moved from {change.moved_from}"
    return {Action.DELETE: "will be destroyed", Action.READ: "will be read"}.get(action, "will be forgotten; it stays as it is")


def line_of(text: str) -> Line:
    """The sign that stands in the text (``      ~ name = 1``) taken out of it."""
    body = text.lstrip(" ")
    indent = len(text) - len(body)
    base = 6 if indent >= 6 else 2
    if body[:2] in ("+ ", "- ", "~ "):
        return Line(body[0], " " * max(indent - base, 0) + body[2:])
    if body.startswith("^"):
        return Line("!", " " * max(indent - 8, 0) + body)
    return Line("", " " * max(indent - base, 0) + body)


@dataclass(frozen=True, slots=True)
class Node:
    """A component in the graph: its worst risk, and what happens to it (``""``: nothing)."""

    name: str
    kind: str
    action: str
    risk: RiskLevel
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Components, and edges from what is needed to what needs it: the way that data flows. ``left_out``: how many are not shown."""

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    left_out: int = 0


_WEIGHT = (Action.REPLACE, Action.DELETE, Action.CREATE, Action.UPDATE, Action.IMPORT, Action.FORGET, Action.READ)


def graph(plan: Plan, *, most: int = 150) -> Graph:
    """The components that change and what they touch directly; everything, where that is not more than ``most``."""
    members: dict[str, list[Change]] = {}
    for change in plan.changes:
        members.setdefault(change.component or component_of(change.address), []).append(change)
    nodes = {name: _node(name, changes) for name, changes in members.items()}
    home = {c.address: name for name, changes in members.items() for c in changes}
    edges: dict[tuple[str, str], None] = {}
    for address, needs in plan.needs.items():
        for need in needs:
            a, b = home.get(need), home.get(address)
            if a and b and a != b:
                edges[(a, b)] = None
    kept = set(nodes)
    if len(nodes) > most:
        changed = [n for n, node in nodes.items() if node.action]
        changed.sort(key=lambda n: RISKS.index(nodes[n].risk))
        kept = set(changed[:most])
        near = {n for edge in edges for n in edge if kept & set(edge)}
        kept |= set(sorted(near - kept)[: most - len(kept)])
    shown = {n: node for n, node in nodes.items() if n in kept}
    return Graph(shown, tuple(e for e in edges if set(e) <= kept), len(nodes) - len(shown))


def _node(name: str, changes: Iterable[Change]) -> Node:
    changes = list(changes)
    actions = [c.action for c in changes if c.action is not Action.NOOP]
    worst = min(actions, key=lambda a: _WEIGHT.index(a), default=None)
    runs = worst is Action.UPDATE and any(c.runs for c in changes)
    risk = min((c.risk.level for c in changes), key=RISKS.index)
    kind = next((c.kind or c.type for c in changes), "")
    action = "run" if runs else worst.value if worst else ""
    return Node(name, kind, action, risk, tuple(c.address for c in changes))
