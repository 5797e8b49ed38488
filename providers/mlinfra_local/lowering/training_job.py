"""``training_job`` on local: a process (or several) of this host, or a Ray job."""

from __future__ import annotations

from mlinfra.kinds.training_job import TrainingJob
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.runs.lowering import job, job_outputs


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """One ``local.job``."""
    if spec.image is not None:
        raise context.error(
            "local.job_image",
            "the local target runs no images",
            path=("image",),
            hint="name the packages by `requirements:`, or use `target: docker`",
        )
    return Lowered(resources=(context.resource("local.job", job(spec, context)),), outputs=job_outputs(context))
