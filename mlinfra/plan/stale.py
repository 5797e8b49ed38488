"""Whether a plan still fits the recorded world: only the objects that it touches or refers to count, so disjoint plans both apply."""

from __future__ import annotations

from mlinfra.model.change import Action
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanStale
from mlinfra.model.plan import Plan
from mlinfra.state.entries import Ledger


def check_fresh(plan: Plan, ledger: Ledger) -> None:
    """PlanStale, naming every object that has moved since the plan was made, or the state that is not the plan's."""
    if plan.lineage and ledger.lineage and plan.lineage != ledger.lineage:
        raise PlanStale(
            Diagnostic(
                code="plan.other_state",
                message="this plan was made from another state (their lineages differ)",
                hint="plan again where you want to apply",
            )
        )
    moved = overtaken(plan, ledger)
    if moved:
        raise PlanStale(
            [
                Diagnostic(
                    code="plan.stale",
                    message=f"the plan is stale: {address} {sentence}",
                    hint="run plan again and look at what it says now",
                )
                for address, sentence in moved.items()
            ]
        )


def overtaken(plan: Plan, ledger: Ledger) -> dict[str, str]:
    """The objects that the plan concerns and that are not as it saw them: address → ``was changed since``."""
    back = {to: source for source, to in plan.moves}
    moved: dict[str, str] = {}
    for address in concerned(plan):
        source = back.get(address, address)
        recorded = ledger.resources.get((source, ""))
        expected = plan.reads.get(address)
        found = None if recorded is None else recorded.version + (source != address)
        if found != expected:
            moved[address] = f"was {_what(expected is None, found is None)} since"
    return dict(sorted(moved.items()))


def concerned(plan: Plan) -> set[str]:
    """The addresses that the plan touches or refers to."""
    addresses = {c.address for c in plan.changes if c.action is not Action.NOOP and not c.deposed}
    addresses |= {address for (address, deposed), r in plan.prior.items() if not deposed and not r.existing}
    addresses |= {r.address for r in plan.records} | {address for address, deposed in plan.gone if not deposed}
    return addresses


def _what(was_absent: bool, is_absent: bool) -> str:
    if was_absent:
        return "created"
    return "deleted" if is_absent else "changed"
