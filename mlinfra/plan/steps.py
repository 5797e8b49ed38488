"""Changes to ordered steps. All ordering rules of the engine stand here.

create, update, import   after what the resource needs
delete                   after everything that was recorded to depend on it has been deleted or moved on, and after what it lies in
                         was repaired: nothing can be dropped from a server that is down; of what is replaced, after what the successor needs
replace                  delete then create; with create_first: create, then the dependents, then delete the old one
settles_after            after everything that depends on the named addresses
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlinfra.graph.edges import closure, find_cycle, order, reverse
from mlinfra.model.change import Action, Change
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.plan import Operation, Step
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.values import EMPTY

Node = tuple[int, Operation]
"""An index into the changes, and the operation on it."""

_MAKES = {
    Action.CREATE: Operation.CREATE,
    Action.UPDATE: Operation.UPDATE,
    Action.REPLACE: Operation.CREATE,
    Action.IMPORT: Operation.IMPORT,
}


def settle_create_first(
    changes: Sequence[Change], edges: Mapping[str, Sequence[str]], fits_beside: Callable[[Change], bool]
) -> list[Change]:
    """What a create-first replacement needs, and is replaced too, must be created first as well: otherwise the old object would
    have to go before its dependent and after it. Where two cannot stand side by side (they bear one name), the dependents give way
    and are deleted first."""
    replaced = {c.address: c for c in changes if c.action is Action.REPLACE}
    first = {a for a, c in replaced.items() if c.create_first}
    if not first:
        return list(changes)
    dependents: Mapping[str, list[str]] = reverse(edges)
    while True:
        forced = {a for a in closure(first, lambda address: edges.get(address, ())) if a in replaced}
        stuck = {a for a in forced - first if not fits_beside(replaced[a])}
        if not stuck:
            break
        giving_way = closure(stuck, dependents.__getitem__)
        first -= giving_way
    return [
        replace(c, create_first=c.address in forced)
        if c.action is Action.REPLACE and c.create_first is not (c.address in forced)
        else c
        for c in changes
    ]


def make_steps(
    changes: Sequence[Change],
    wanted: Mapping[str, Resource],
    edges: Mapping[str, Sequence[str]],
    priors: Mapping[tuple[str, str], ResourceState],
    holders: Mapping[str, Sequence[str]] = EMPTY,
) -> tuple[Step, ...]:
    """The steps, every one after all that it needs; ``holders`` says in what a recorded address lies.

    PlanError with the cycle when there is no such order."""
    builder = _Builder(changes, wanted, edges, priors, holders)
    needs = builder.needs()
    try:
        ordered = order(needs)
    except ValueError:
        cycle = " → ".join(f"{op.value} {changes[i].address}" for i, op in find_cycle(needs))
        raise PlanError(
            Diagnostic(
                code="plan.cycle",
                message=f"these steps wait for each other: {cycle}",
                hint="break it with lifecycle.create_first",
            )
        ) from None
    index = {node: i for i, node in enumerate(ordered)}
    return tuple(Step(operation=op, change=i, needs=tuple(sorted({index[n] for n in needs[(i, op)]}))) for i, op in ordered)


class _Builder:
    def __init__(
        self,
        changes: Sequence[Change],
        wanted: Mapping[str, Resource],
        edges: Mapping[str, Sequence[str]],
        priors: Mapping[tuple[str, str], ResourceState],
        holders: Mapping[str, Sequence[str]],
    ) -> None:
        self.changes = changes
        self.acting = [(i, c) for i, c in enumerate(changes) if c.action is not Action.NOOP]
        self.wanted = wanted
        self.edges = edges
        self.maker: dict[str, Node] = {}
        self.ender: dict[str, Node] = {}
        self.deposed: list[Node] = []
        self.forgotten: list[Node] = []
        for i, c in self.acting:
            if c.deposed:
                self.deposed.append((i, Operation.DELETE))
                continue
            if c.action in _MAKES:
                self.maker[c.address] = (i, _MAKES[c.action])
            if c.action in (Action.DELETE, Action.REPLACE):
                self.ender[c.address] = (i, Operation.DELETE)
            if c.action is Action.FORGET:
                self.forgotten.append((i, Operation.FORGET))
        self._reversed: Mapping[str, Sequence[str]] | None = None
        self._late: set[str] | None = None
        self.holders = holders
        self.recorded_dependents: dict[str, list[str]] = {}
        for (address, deposed), r in priors.items() if self.ender else ():
            if not deposed:
                for need in r.dependencies:
                    self.recorded_dependents.setdefault(need, []).append(address)

    def needs(self) -> dict[Node, list[Node]]:
        """Every step with the steps that it waits for."""
        needs: dict[Node, list[Node]] = {}
        for i, c in self.acting:  # in the order of the changes, so that the order of steps is stable
            if c.deposed:
                needs[(i, Operation.DELETE)] = self._after_successor(c.address)
                continue
            if c.action is Action.FORGET:
                needs[(i, Operation.FORGET)] = []
            if c.action in (Action.DELETE, Action.REPLACE):
                needs[self.ender[c.address]] = self._before_delete(c)
            if c.action in _MAKES:
                node = self.maker[c.address]
                needs[node] = self._upstream(c.address)
                if c.action is Action.REPLACE and not c.create_first:
                    needs[node].append(self.ender[c.address])
                if c.action is Action.IMPORT and c.attributes:
                    needs[(i, Operation.UPDATE)] = [node]
                    self.maker[c.address] = (i, Operation.UPDATE)
        self._settle(needs)
        return needs

    def _upstream(self, address: str) -> list[Node]:
        return [self.maker[need] for need in self.edges.get(address, ()) if need in self.maker]

    def _before_delete(self, change: Change) -> list[Node]:
        address = change.address
        waits: list[Node] = []
        for dependent in self.recorded_dependents.get(address, ()):
            if dependent in self.ender and dependent != address:
                waits.append(self.ender[dependent])
            elif dependent in self.maker and (change.create_first or change.action is Action.DELETE):
                waits.append(self.maker[dependent])  # it moves on to the successor, or away, before the old one goes
        if change.action is Action.REPLACE and change.create_first:
            waits.extend(self._after_successor(address))
        waits.extend(self._repairs(address))
        if change.action is Action.REPLACE and change.may_be_noop and not change.create_first:
            # whether it has to go at all shows when what it refers to has been made
            waits.extend(n for n in self._upstream(address) if not self._is_delete_first(n))
        elif change.action is Action.REPLACE and not change.create_first:
            # what its successor needs is made while it still stands: if that fails, it goes on
            waits.extend(n for n in self._upstream(address) if self.changes[n[0]].address not in self._waiting())
        return waits

    def _repairs(self, address: str) -> list[Node]:
        """The updates in place of what it lies in, as far as they wait for no deletion themselves."""
        found = []
        for need in self.holders.get(address, ()):
            node = self.maker.get(need)
            settles = need in self.wanted and self.wanted[need].settles_after
            if node is None or settles or self.changes[node[0]].action is not Action.UPDATE:
                continue
            above = closure([need], lambda a: self.edges.get(a, ()))
            if not any(a in self.maker and self._is_delete_first(self.maker[a]) for a in above):
                found.append(node)
        return found

    def _is_delete_first(self, node: Node) -> bool:
        change = self.changes[node[0]]
        return change.action is Action.REPLACE and not change.create_first

    def _waiting(self) -> set[str]:
        """The addresses that are made only after some deletion, or after everything else: what waits for such a one is deleted itself."""
        if self._late is None:
            late = [a for a, node in self.maker.items() if self._is_delete_first(node)]
            late += [a for a, resource in self.wanted.items() if resource.settles_after]
            self._late = closure(late, self._dependents_of)
        return self._late

    def _after_successor(self, address: str) -> list[Node]:
        """An old object goes when its successor stands and everything that refers to it has moved over."""
        around = [address, *self._dependents_of(address)]
        return [self.maker[a] for a in around if a in self.maker]

    def _dependents_of(self, address: str) -> Sequence[str]:
        if self._reversed is None:
            self._reversed = reverse(self.edges)
        return self._reversed.get(address, ())

    def _settle(self, needs: dict[Node, list[Node]]) -> None:
        for address, resource in self.wanted.items():
            if not resource.settles_after or address not in self.maker:
                continue
            own = closure([address], self._dependents_of)
            before = closure(resource.settles_after, self._dependents_of) - own
            needs[self.maker[address]].extend(self.maker[a] for a in before if a in self.maker)
