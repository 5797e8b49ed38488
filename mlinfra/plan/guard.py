"""What a plan must refuse: protected resources, and data in protected environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlinfra.model.change import Action, Change, RiskLevel
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.resource import Resource, ResourceState

_ENDS = (Action.DELETE, Action.REPLACE)


def refuse_protected(
    changes: Sequence[Change],
    priors: Mapping[tuple[str, str], ResourceState],
    wanted: Mapping[str, Resource],
    *,
    environment: str,
    environment_protected: bool,
    allow_data_loss: bool,
) -> None:
    """PlanError with a diagnostic for every deletion or replacement that protection forbids.

    Protection is what was recorded, or what the spec says now: removing the block does not remove it."""
    problems: list[Diagnostic] = []
    for change in changes:
        if change.action not in _ENDS or change.deposed:
            continue
        verb = "replaced" if change.action is Action.REPLACE else "deleted"
        prior = priors.get((change.address, ""))
        resource = wanted.get(change.address)
        unprotected_now = resource is not None and not resource.lifecycle.protect
        if (prior is not None and prior.protect and not unprotected_now) or (resource and resource.lifecycle.protect):
            why = f" ({change.reason})" if change.reason else ""
            problems.append(
                Diagnostic(
                    code="plan.protected",
                    message=f"{change.address} is protected and would be {verb}{why}",
                    hint="set lifecycle.protect: false in its block and apply that first"
                    if resource is not None
                    else "put its block back with lifecycle.protect: false, apply that, and then take it out",
                    address=change.address,
                    span=resource.span if resource else None,
                )
            )
        elif environment_protected and change.risk.level is RiskLevel.DESTROYS_DATA and not allow_data_loss:
            problems.append(
                Diagnostic(
                    code="plan.data_loss",
                    message=f"environment {environment!r} is protected, and this {change.risk.sentence}",
                    hint="give --allow-data-loss if that is what you want",
                    address=change.address,
                    span=resource.span if resource else None,
                )
            )
    if problems:
        raise PlanError(problems)
