"""Policies and the budget held against a plan's changes. Pure.

A rule is CEL over one change: ``change`` (``address``, ``component``, ``kind``, ``type``, ``provider``, ``action``, ``reason``, ``runs``,
``before``, ``after``, ``changed``, ``tags``, ``risk``, ``cost``), ``env`` and ``project``. It sees what the plan knows: what is known only
after apply is absent, what is secret is ``"(sensitive)"``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from mlinfra.model.change import Action, Change, RiskLevel
from mlinfra.model.cost import Cost, CostTotal
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PolicyRefused, SpecError
from mlinfra.model.plan import Plan
from mlinfra.model.policy import BUDGET, Budget, Effect, Policy, Verdict, as_diagnostic
from mlinfra.model.values import DEFERRED, EMPTY, Map, Secret, SecretDigest, Value, path_text
from mlinfra.resolve.cel import evaluate_rule
from mlinfra.resolve.cel_errors import ExpressionError

_SEVERITY = {level: number for number, level in enumerate(RiskLevel)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a plan has to keep to. ``overrides``: policy → why it is borne this time; ``tags`` by component, as the spec gives them."""

    policies: Sequence[Policy] = ()
    budget: Budget | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, Map] = field(default_factory=dict)


def judge(plan: Plan, rules: Rules) -> tuple[Verdict, ...]:
    """Every policy that a change of the plan breaks, in the order in which they are written. SpecError for an override of a policy
    that there is not."""
    names = [p.name for p in rules.policies] + ([BUDGET] if rules.budget is not None else [])
    _refuse_unknown(rules.overrides, names)
    changes = [c for c in plan.changes if c.action is not Action.NOOP or c.moved_from]
    facts = [(c, change_facts(c, rules.tags.get(c.component, EMPTY))) for c in changes] if rules.policies else []
    names_seen = {"env": plan.environment, "project": plan.project}
    found = [v for p in rules.policies for c, seen in facts if (v := _verdict(p, c, {**names_seen, "change": seen})) is not None]
    if rules.budget is not None and changes and (over := _over(rules.budget, plan.cost())):
        found.append(Verdict(policy=BUDGET, effect=Effect.DENY, message=over, span=rules.budget.span))
    return overridden(found, rules.overrides)


def overridden(verdicts: Iterable[Verdict], overrides: Mapping[str, str]) -> tuple[Verdict, ...]:
    """The verdicts with the reasons that were given for bearing them."""
    return tuple(
        replace(v, reason=overrides[v.policy]) if v.effect is Effect.DENY and v.policy in overrides else v for v in verdicts
    )


def refuse(plan: Plan) -> None:
    """PolicyRefused with every refusal of the plan that nobody has overridden."""
    refusals = [v for v in plan.verdicts if v.refuses]
    if refusals:
        raise PolicyRefused([as_diagnostic(v) for v in refusals])


def _refuse_unknown(overrides: Mapping[str, str], names: Sequence[str]) -> None:
    unknown = [name for name in overrides if name not in names]
    if unknown:
        hint = f"there are: {', '.join(names)}" if names else "this spec has no policies"
        message = f"there is no policy {unknown[0]!r} that could be overridden"
        raise SpecError(Diagnostic(code="policy.unknown", message=message, hint=hint))


def _verdict(policy: Policy, change: Change, names: Mapping[str, Value]) -> Verdict | None:
    """A rule that cannot be worked out counts as broken: a refusal that fails open is none."""
    try:
        broken = evaluate_rule(policy.rule, names)
    except ExpressionError as error:
        hint = "; ask has(…) first where an attribute may be absent or known only after apply"
        message = f"the rule cannot be worked out for this change: {error.message}{hint}"
    else:
        if broken is False:
            return None
        message = policy.message or policy.rule
        if broken is not True:
            message = f"the rule gives {type(broken).__name__} where true or false is needed"
    return Verdict(policy=policy.name, effect=policy.effect, message=message, address=change.address, span=policy.span)


def change_facts(change: Change, tags: Map = EMPTY) -> Map:
    """``change`` as a rule sees it; ``tags`` are those of its component."""
    before, after = change.cost_before, change.cost_after
    return Map(
        {
            "address": change.address,
            "component": change.component,
            "kind": change.kind,
            "type": change.type,
            "provider": change.provider,
            "action": change.action.value,
            "reason": change.reason,
            "runs": change.runs,
            "moved_from": change.moved_from,
            "before": _known(change.before) if change.before is not None else EMPTY,
            "after": _known(change.after) if change.after is not None else EMPTY,
            "changed": tuple(path_text(a.path) for a in change.attributes),
            "tags": Map({**_tags(change), **tags}),
            "risk": Map(
                {"level": change.risk.level.value, "rank": _SEVERITY[change.risk.level], "sentence": change.risk.sentence}
            ),
            "cost": Map({"before": _monthly(before), "after": _monthly(after), "delta": _monthly(after) - _monthly(before)}),
        }
    )


def _tags(change: Change) -> Map:
    """By name, also where the cloud has them as a list of keys and values."""
    tree = change.after or change.before or EMPTY
    for name in ("tags", "Tags", "labels"):
        found = tree.get(name)
        if isinstance(found, Map):
            return Map({k: _known(v) for k, v in found.items()})
        if isinstance(found, tuple):
            return Map({t["Key"]: _known(t.get("Value")) for t in found if isinstance(t, Map) and isinstance(t.get("Key"), str)})
    return EMPTY


def _monthly(cost: Cost | None) -> float:
    return float(cost.monthly or 0.0) if cost is not None else 0.0


def _known(value: Value) -> Any:
    if isinstance(value, Mapping):
        return Map({k: _known(v) for k, v in value.items() if not isinstance(v, DEFERRED)})
    if isinstance(value, tuple):
        return tuple(_known(v) for v in value if not isinstance(v, DEFERRED))
    return "(sensitive)" if isinstance(value, (Secret, SecretDigest)) else value


def _over(budget: Budget, cost: CostTotal | None) -> str:
    """Why the plan costs too much; nothing when it does not, or when it makes what is too dear cheaper."""
    if cost is None or cost.after <= budget.monthly or cost.after < cost.before:
        return ""
    unknown = f", and {len(cost.unknown)} without a known price" if cost.unknown else ""
    return f"it would cost {cost.after:,.2f} USD a month{unknown}; the budget is {budget.monthly:,.2f}"
