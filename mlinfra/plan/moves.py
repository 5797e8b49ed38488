"""``moved`` blocks, applied to what is recorded."""

from __future__ import annotations

from collections.abc import Container, Sequence

from mlinfra.model.address import component_of, follow
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.state import State
from mlinfra.model.values import Map

Moves = Sequence[tuple[str, str]]
"""(from, to), addresses of components, instances or modules."""


def move(state: State, moved: Moves, components: Container[str]) -> tuple[State, tuple[tuple[str, str], ...]]:
    """``state`` with every object at its new address, a component's natives with it, and the moves made, object by object.

    What stands at the address of a declared component stays there. PlanError where the new place is taken."""
    from mlinfra.state.entries import Ledger, Rename

    if not moved:
        return state, ()
    current = state.current()
    moves = {address: to for address in current if (to := follow(address, moved, components)) != address}
    if not moves:
        return state, ()
    staying = [address for address in current if address not in moves]
    taken: dict[str, str] = {address: address for address in staying}
    for source, to in moves.items():
        if to in taken:
            message = f"{source} cannot move to {to}: that address is taken"
            if taken[to] != to:
                message = f"{taken[to]} and {source} cannot both move to {to}"
            hint = f"mlinfra state rm {source} forgets it; or take out the moved block, and it is destroyed"
            raise PlanError(Diagnostic(code="plan.move_taken", message=message, hint=hint, address=component_of(to)))
        taken[to] = source
    ledger = Ledger(state)
    ledger.apply(Rename(moves=Map(moves)))
    return replace(ledger.freeze(), serial=state.serial), tuple(moves.items())
