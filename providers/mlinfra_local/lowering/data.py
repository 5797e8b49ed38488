"""``data`` on every target: one object in the state."""

from __future__ import annotations

from mlinfra.kinds.data import Data
from mlinfra.provider.contract import Lowered, LoweringContext


def lower(spec: Data, context: LoweringContext) -> Lowered:
    """One ``local.data``."""
    resource = context.resource("local.data", {"input": spec.input, "triggers_replace": spec.triggers_replace}, provider="local")
    return Lowered(resources=(resource,), own=("id", "output", "input"))
