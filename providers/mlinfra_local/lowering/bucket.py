"""``bucket`` on local: a directory."""

from __future__ import annotations

from mlinfra.kinds.bucket import Bucket
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name


def lower(spec: Bucket, context: LoweringContext) -> Lowered:
    """One ``local.bucket``, named after its address unless the spec names it."""
    name = spec.name or physical_name("", "", context.named)
    resource = context.resource(
        "local.bucket", {"name": name, "versioning": spec.versioning, "force_destroy": spec.force_destroy}
    )
    return Lowered(
        resources=(resource,),
        outputs=Map(
            {
                "id": Ref(context.address, ("name",)),
                "name": Ref(context.address, ("name",)),
                "uri": Ref(context.address, ("uri",)),
            }
        ),
    )
