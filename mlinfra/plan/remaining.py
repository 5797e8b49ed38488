"""A saved plan that was begun and not finished: what of it is left. It is carried on only as far as it was approved. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model import change as reasons
from mlinfra.model.change import Action, Change
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanStale
from mlinfra.model.plan import Plan

_DONE = {
    Action.CREATE: "created", Action.UPDATE: "changed", Action.REPLACE: "replaced", Action.DELETE: "destroyed", Action.READ: "read",
    Action.IMPORT: "imported", Action.FORGET: "forgotten",
}  # fmt: skip


def remaining(approved: Plan, fresh: Plan, moved: Mapping[str, str]) -> Plan:
    """``fresh`` (made now, of what the approved plan was made of), when every change in it is one that was approved and is not
    done yet; PlanStale, naming each that is not. ``moved`` are the addresses that are not as the approved plan saw them."""
    wanted = {(c.address, c.deposed): c for c in approved.changes}
    problems: list[str] = []
    for change in fresh.changes:
        if change.action is Action.NOOP:
            continue
        before = wanted.get((change.address, change.deposed)) or wanted.get((change.address, ""))
        if before is None or not _is_left_of(change, before):
            problems.append(
                f"{change.address} would now be {_DONE.get(change.action, change.action.value)}, which was not approved"
            )
        elif change.address in moved and change.action is before.action is Action.UPDATE:
            problems.append(f"{change.address} {moved[change.address]}")
    if problems:
        hint = "run plan again and look at what it says now"
        raise PlanStale([Diagnostic(code="plan.stale", message=f"the plan is stale: {p}", hint=hint) for p in problems])
    return replace(fresh, verdicts=approved.verdicts, warnings=approved.warnings)


def _is_left_of(change: Change, approved: Change) -> bool:
    """Whether the change is the approved one, or the half of it that is left."""
    if change.type != approved.type:
        return False
    if change.action is approved.action and change.deposed == approved.deposed:
        return True
    if approved.action is Action.REPLACE:  # one of its two steps was done, or its successor came out half-made
        left_behind = change.action is Action.DELETE and bool(change.deposed)
        return left_behind or change.action is Action.CREATE or _half_made(change)
    return approved.action is Action.CREATE and _half_made(change)


def _half_made(change: Change) -> bool:
    return change.action in (Action.REPLACE, Action.UPDATE) and change.reason in (reasons.HALF_MADE, "")
