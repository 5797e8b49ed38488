"""``data`` on every target: one object in the state."""

from __future__ import annotations

from mlinfra.kinds.data import Data
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext


def lower(spec: Data, context: LoweringContext) -> Lowered:
    """One ``local.data``."""
    address = context.address
    resource = context.resource("local.data", {"input": spec.input, "triggers_replace": spec.triggers_replace}, provider="local")
    return Lowered(
        resources=(resource,),
        outputs=Map({name: Ref(address, (name,)) for name in ("id", "output", "input")}),
    )
