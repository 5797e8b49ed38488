"""What things cost, as people read it and as data. Amounts are US dollars a month of 730 hours."""

from __future__ import annotations

from typing import Any

from mlinfra.cli.tables import table
from mlinfra.cli.terminal import PLAIN, Style, harmless
from mlinfra.model.change import Change
from mlinfra.model.cost import HOURS, Cost, CostTotal
from mlinfra.model.plan import Plan

UNKNOWN_PRICE = "unknown"
_NAMED = 6
"""So many resources of unknown price are named; the rest are counted."""


def money(amount: float | None, *, sign: bool = False) -> str:
    """``1,234.50``; with ``sign`` ``+1,234.50``."""
    if amount is None:
        return UNKNOWN_PRICE
    return f"{amount:+,.2f}" if sign else f"{amount:,.2f}"


def change_text(change: Change) -> str:
    """One line on what a change does to the bill; ``""`` when it does nothing to it."""
    was, becomes = change.cost_before, change.cost_after
    about = becomes or was
    if about is None or (was is not None and becomes is not None and was.monthly == becomes.monthly and was == becomes):
        return ""
    told = harmless(f": {about.sentence}" if about.sentence else "") + _origin(about)
    if was is None or becomes is None:
        if about.monthly is None:
            return f"price unknown{told}"
        saved = "saves " if becomes is None and about.monthly else ""
        return f"{saved}{money(about.monthly)} USD a month{told}"
    if was.monthly == becomes.monthly:
        return f"{'price unknown' if about.monthly is None else f'{money(about.monthly)} USD a month, as before'}{told}"
    delta = (
        f" ({money(becomes.monthly - was.monthly, sign=True)})" if was.monthly is not None and becomes.monthly is not None else ""
    )
    return f"{money(was.monthly)} → {money(becomes.monthly)} USD a month{delta}{told}"


def _origin(cost: Cost) -> str:
    said = ", ".join(s for s in (cost.source, f"as of {cost.as_of}" if cost.as_of else "") if s)
    return harmless(f" ({said})") if said else ""


def delta_text(total: CostTotal) -> str:
    """``+20.00``, and of how many that come, go or change the price is not known."""
    moving = len(set(total.unknown) ^ set(total.unknown_before))
    return money(total.delta, sign=True) + (f" and {moving} unknown" if moving else "")


def total_text(total: CostTotal) -> str:
    """``Cost: 10.00 → 30.00 USD a month (+20.00).``, whose figures these are, and what is not in the sum."""
    if total.before == total.after and total.delta_is_known:
        line = f"Cost: {money(total.after)} USD a month, as before"
    else:
        line = f"Cost: {money(total.before)} → {money(total.after)} USD a month ({delta_text(total)})"
    if total.sources:
        line += f", by {'; '.join(total.sources)}" + (f"; oldest figure of {total.as_of}" if total.as_of else "")
    lines = [harmless(f"{line}.")]
    unknown = tuple(dict.fromkeys((*total.unknown, *total.unknown_before)))
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        lines.append(harmless(f"Price unknown, not in the sum: {', '.join(unknown[:_NAMED])}{more}."))
    return "\n".join(lines)


def costs_text(plan: Plan, *, style: Style = PLAIN, width: int = 0) -> str:
    """Every resource that costs something, now and after apply, and the sum."""
    total = plan.cost()
    if total is None:
        return "Nothing in this stack has a price of its own."
    rows = [
        [a, money(was.monthly) if was else "", money(becomes.monthly) if becomes else "", (becomes or was or _NOTHING).sentence]
        for a, was, becomes in _lines(plan)
    ]
    heads = ("resource", "now", "after apply", "USD a month of 730 hours")
    note = "Counted is what stands there all month. Storage, requests and traffic are paid by use and not counted."
    return "\n\n".join((table(heads, rows, style=style, width=width), style.bold(total_text(total)), style.dim(note)))


_NOTHING = Cost(monthly=0.0)


def _lines(plan: Plan) -> list[tuple[str, Cost | None, Cost | None]]:
    changed = [(c.address, c.cost_before, c.cost_after) for c in plan.changes if c.cost_before or c.cost_after]
    return changed + [(address, cost, cost) for address, cost in plan.standing.items()]


def cost_json(cost: Cost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    return {"monthly": cost.monthly, "sentence": cost.sentence, "source": cost.source, "as_of": cost.as_of}


def total_json(total: CostTotal | None) -> dict[str, Any] | None:
    """The sum; ``delta`` is null when something of unknown price comes or goes."""
    if total is None:
        return None
    return {
        "currency": "USD",
        "hours": HOURS,
        "before": round(total.before, 4),
        "after": round(total.after, 4),
        "delta": round(total.delta, 4) if total.delta_is_known else None,
        "unknown": list(total.unknown),
        "unknown_before": list(total.unknown_before),
        "sources": list(total.sources),
        "as_of": total.as_of,
    }


def costs_json(plan: Plan) -> dict[str, Any]:
    """The answer of ``mlinfra cost --json``."""
    return {
        "total": total_json(plan.cost()),
        "resources": [
            {"address": address, "before": cost_json(was), "after": cost_json(becomes)} for address, was, becomes in _lines(plan)
        ],
    }
