"""``bucket`` on docker: a volume."""

from __future__ import annotations

from mlinfra.kinds.bucket import Bucket
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra_docker.naming import named


def lower(spec: Bucket, context: LoweringContext) -> Lowered:
    """One ``docker.volume``, named after project, environment and address unless the spec names it."""
    resource = context.resource(
        "docker.volume",
        {"Name": spec.name or named(context), "versioning": spec.versioning, "force_destroy": spec.force_destroy},
    )
    outputs = {"id": "Name", "name": "Name", "uri": "uri"}
    return Lowered(
        resources=(resource,), outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in outputs.items()})
    )
