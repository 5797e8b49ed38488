"""``data_pipeline`` on local: steps run by Dagster on this machine."""

from __future__ import annotations

from mlinfra.kinds.data_pipeline import DataPipeline
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.runs.lowering import pipeline, pipeline_outputs


def lower(spec: DataPipeline, context: LoweringContext) -> Lowered:
    """One ``local.pipeline``, named after its address."""
    if spec.image is not None:
        raise context.error(
            "lower.unsupported",
            "the local target runs steps as processes, and knows no images",
            path=("image",),
            hint="use requirements, or target docker",
        )
    resource = context.resource("local.pipeline", pipeline(spec, context))
    return Lowered(resources=(resource,), outputs=pipeline_outputs(spec, context))
