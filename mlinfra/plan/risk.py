"""What a change puts at risk, as data: judged from the schema, with the amount where the provider can tell it cheaply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlinfra.model.change import SAFE, Action, Change, Risk, RiskLevel
from mlinfra.model.dataclass import replace
from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.resource import ResourceState
from mlinfra.model.schema import Schema
from mlinfra.provider.calls import call
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import Assesses, Stakes
from mlinfra.provider.failures import Failure

_ENDS = (Action.DELETE, Action.REPLACE)
_HARMLESS = (Action.NOOP, Action.READ, Action.FORGET)


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
    amounts = await _amounts(changes, priors, connections) if ask else {}

    def assessed(change: Change) -> Change:
        if change.action in _HARMLESS:
            return change
        kind = connections.registry.type(change.type)
        if (
            change.action is Action.UPDATE
            and isinstance(kind, Assesses)
            and change.before is not None
            and change.after is not None
        ):
            return replace(change, risk=kind.assess(change.before, change.after))
        risk = judge(change, kind.schema, amounts.get((change.address, change.deposed), ""))
        return change if risk is SAFE else replace(change, risk=risk)

    return [assessed(change) for change in changes]


async def _amounts(
    changes: Sequence[Change], priors: Mapping[tuple[str, str], ResourceState], connections: Connections
) -> dict[tuple[str, str], str]:
    """What the ends of data put at stake, asked of the providers all at once."""
    keys = [(c.address, c.deposed) for c in changes if c.action in _ENDS and connections.registry.schema(c.type).holds_data]
    asked = [priors[key] for key in keys if key in priors]
    if not asked:
        return {}
    await a_loop()
    answers = await asyncio.gather(*[_amount(prior, connections) for prior in asked])
    return {prior.key: amount for prior, amount in zip(asked, answers, strict=True)}


async def _amount(prior: ResourceState, connections: Connections) -> str:
    bound = await connections.bind(prior.type, prior.provider)
    kind = bound.type
    if not isinstance(kind, Stakes):
        return ""
    try:
        return await call(lambda: kind.stake(bound.client, prior), bound.limiter, provider=prior.provider)
    except Failure:
        return ""  # an amount is a courtesy; the loss itself is already said
