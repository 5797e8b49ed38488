"""What a change puts at risk, as data: judged from the schema, with the amount where the provider can tell it cheaply."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlinfra.model.change import SAFE, Action, Change, Risk, RiskLevel
from mlinfra.model.resource import ResourceState
from mlinfra.model.schema import Schema
from mlinfra.provider.calls import call
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import Assesses, Stakes
from mlinfra.provider.failures import Failure

_ENDS = (Action.DELETE, Action.REPLACE)


def judge(change: Change, schema: Schema, amount: str = "") -> Risk:
    """The risk of one change. ``amount`` is what the provider says is at stake (``1,204,331 vectors``)."""
    name = f"{change.kind or change.type} {change.address}"
    if change.action in _ENDS and schema.holds_data:
        verb = "replaces" if change.action is Action.REPLACE else "deletes"
        loss = f"{verb} {name}" + (f": {amount}" if amount else "")
        return Risk(RiskLevel.DESTROYS_DATA, loss)
    if schema.serves and (change.action is Action.DELETE or (change.action is Action.REPLACE and not change.create_first)):
        verb = "stops" if change.action is Action.DELETE else "stops for a while"
        return Risk(RiskLevel.INTERRUPTS_SERVING, f"{verb} {name}")
    if schema.costs and change.action in (Action.CREATE, Action.REPLACE):
        monthly = change.cost_after.monthly if change.cost_after is not None else None
        amount = f"{monthly:,.2f} USD a month" if monthly else "money while it exists"
        return Risk(RiskLevel.COSTS_MONEY, f"{name} costs {amount}")
    return SAFE


async def assess(
    changes: Sequence[Change], priors: Mapping[tuple[str, str], ResourceState], connections: Connections, *, ask: bool
) -> list[Change]:
    """The changes with their risks. ``ask``: whether providers may be asked for amounts (a plan with refresh)."""

    async def one(change: Change) -> Change:
        if change.action in (Action.NOOP, Action.READ, Action.FORGET):
            return change
        kind = connections.registry.type(change.type)
        schema = kind.schema
        if (
            change.action is Action.UPDATE
            and isinstance(kind, Assesses)
            and change.before is not None
            and change.after is not None
        ):
            return replace(change, risk=kind.assess(change.before, change.after))
        amount = ""
        prior = priors.get((change.address, change.deposed))
        if ask and prior is not None and change.action in _ENDS and schema.holds_data:
            amount = await _amount(prior, connections)
        risk = judge(change, schema, amount)
        return change if risk is SAFE else replace(change, risk=risk)

    quiet = [c for c in changes if c.action is Action.NOOP]
    if len(quiet) == len(changes):
        return list(changes)
    return list(await asyncio.gather(*[one(c) for c in changes]))


async def _amount(prior: ResourceState, connections: Connections) -> str:
    bound = await connections.bind(prior.type, prior.provider)
    kind = bound.type
    if not isinstance(kind, Stakes):
        return ""
    try:
        return await call(lambda: kind.stake(bound.client, prior), bound.limiter, provider=prior.provider)
    except Failure:
        return ""  # an amount is a courtesy; the loss itself is already said
