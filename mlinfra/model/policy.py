"""Rules over a plan's changes, and what they say of one plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.values import Path

CHANGE_FIELDS: Mapping[Path, tuple[str, ...]] = {
    ("change",): (
        "address", "component", "kind", "type", "provider", "action", "reason", "runs", "moved_from", "before", "after", "changed",
        "tags", "risk", "cost",
    ),
    ("change", "risk"): ("level", "rank", "sentence"),
    ("change", "cost"): ("before", "after", "delta"),
}  # fmt: skip
"""What a rule finds in ``change``: every change has all of it. What lies in ``before``, ``after`` and ``tags`` is the resource's affair."""


class Effect(StrEnum):
    DENY = "deny"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``rule`` is CEL over ``change`` (see docs/review.md); where it is true the policy is broken."""

    name: str
    effect: Effect
    rule: str
    message: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One policy that one change breaks; no ``address``: the plan as a whole breaks it (the budget).

    ``reason`` is why somebody overrode it, ``""`` when nobody did; ``span`` where the policy stands."""

    policy: str
    effect: Effect
    message: str
    address: str = ""
    reason: str = ""
    span: Span | None = field(default=None, compare=False)

    @property
    def refuses(self) -> bool:
        """Whether the plan may not be applied because of it."""
        return self.effect is Effect.DENY and not self.reason


BUDGET = "budget"
"""The name under which the budget is a policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """``monthly``: US dollars that a month of everything may cost."""

    monthly: float
    span: Span | None = field(default=None, compare=False)


def as_diagnostic(verdict: Verdict) -> Diagnostic:
    """A verdict as a problem, at the policy's place."""
    about = f"{verdict.address}: " if verdict.address else ""
    refused = verdict.refuses
    hint = f'change the spec, or: --override-policy {verdict.policy}="why this once"' if refused else ""
    return Diagnostic(
        code="policy.refused" if refused else "policy.overridden" if verdict.reason else "policy.warning",
        severity=Severity.ERROR if refused else Severity.WARNING,
        message=f"policy {verdict.policy}: {about}{verdict.message}"
        + (f". Overridden: {verdict.reason}" if verdict.reason else ""),
        hint=hint,
        address=verdict.address,
        span=verdict.span,
    )
