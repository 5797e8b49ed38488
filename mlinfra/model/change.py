"""What a plan says of one resource: action, attributes, reason, risk."""

from __future__ import annotations

from enum import StrEnum

from mlinfra.model.cost import Cost
from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import EMPTY, Map, Path, Value


class Action(StrEnum):
    NOOP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"
    IMPORT = "import"
    FORGET = "forget"


class RiskLevel(StrEnum):
    """From harmless to harmful; the order counts."""

    SAFE = "safe"
    COSTS_MONEY = "costs_money"
    INTERRUPTS_SERVING = "interrupts_serving"
    DESTROYS_DATA = "destroys_data"


@dataclass(frozen=True, slots=True)
class Risk:
    """``sentence`` is for people and may carry the amount: ``drops collection tickets: 1,204,331 vectors``."""

    level: RiskLevel = RiskLevel.SAFE
    sentence: str = ""


SAFE = Risk()

BY_REQUEST = "asked for by --replace"
HALF_MADE = "it was left half-made, or marked by state taint"
TRIGGERED = "lifecycle.replace_when changed"
NOT_IN_SPEC = "it is not in the spec any more"
LEFT_BEHIND = "left behind by a replacement"
"""The reasons of a Change that the engine itself gives, and that readers tell apart."""

MISSING = type("_Missing", (), {"__slots__": (), "__repr__": lambda _: "(absent)", "__reduce__": lambda _: "MISSING"})()
"""Stands where an attribute is absent on one side of a change (None is a value)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChange:
    """One leaf that differs. ``before``/``after`` may be MISSING, ``after`` may be UNKNOWN.

    ``forces_replacement`` cites why (``createOnly in AWS::SageMaker::EndpointConfig``), ``""`` when it does not.
    """

    path: Path
    before: Value
    after: Value
    sensitive: bool = False
    forces_replacement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """``before`` is what is recorded (None: nothing), ``after`` what is wanted, UNKNOWN leaves included (None: nothing).

    ``runs``          the user's code runs
    ``create_first``  for REPLACE: the new one is made beside the old
    ``deposed``       for DELETE of a deposed object: its key
    ``may_be_noop``   only unknown inputs differ: apply may find that nothing is to be done
    ``import_id``     for IMPORT
    ``cost_before``, ``cost_after``  what a month of it costs; None: nothing to say (it is free, or paid by use)
    """

    action: Action
    address: str
    type: str
    provider: str
    kind: str = ""
    component: str = ""
    before: Map | None = None
    after: Map | None = None
    attributes: tuple[AttributeChange, ...] = ()
    reason: str = ""
    risk: Risk = SAFE
    runs: bool = False
    create_first: bool = False
    deposed: str = ""
    may_be_noop: bool = False
    import_id: str = ""
    moved_from: str = ""
    cost_before: Cost | None = None
    cost_after: Cost | None = None

    @property
    def tags(self) -> Map:
        tags = (self.after or self.before or EMPTY).get("tags", EMPTY)
        return tags if isinstance(tags, Map) else EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A difference between what was recorded and what the world holds; ``after`` None: it is gone."""

    address: str
    type: str
    kind: str = ""
    attributes: tuple[AttributeChange, ...] = ()
    gone: bool = False
    component: str = ""
