"""``data`` on every target: one object in the state."""

from __future__ import annotations

from mlinfra.kinds.data import Data
from mlinfra.model.dataclass import maker
from mlinfra.provider.contract import Lowered, LoweringContext

_lowered = maker(Lowered)


def lower(spec: Data, context: LoweringContext) -> Lowered:
    """One ``local.data``."""
    resource = context.resource("local.data", {"input": spec.input, "triggers_replace": spec.triggers_replace}, provider="local")
    return _lowered(resources=(resource,), own=("id", "output", "input"))
