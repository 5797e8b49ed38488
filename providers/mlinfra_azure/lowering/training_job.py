"""``training_job`` on Azure: a command job of the ML workspace for each fingerprint."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.values import EMPTY
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.runs.lowering import job, job_outputs
from mlinfra_azure.lowering import environments
from mlinfra_azure.lowering.base import after_rights, compute, ref, work, workspace
from mlinfra_azure.lowering.common import image


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """An ``azure.training_run`` and the ``azure.ml_environment_version`` of its image."""
    cluster = spec.cluster if isinstance(spec.cluster, Mapping) else EMPTY
    if cluster and cluster.get("engine") != "managed":
        raise context.error(
            "azure.job_on_machines",
            "a training_job on azure runs on managed compute, not on a Ray cluster of one's own",
            path=("cluster",),
            hint="leave engine out of the training_cluster (or write managed)",
        )
    chosen = spec.image or image(context, "gpu" if cluster.get("accelerators") is not None else "cpu")
    environment = environments.of_image(context, chosen)
    found = {k: v for k, v in job(spec, context).items() if k != "cluster"}
    run = context.resource(
        "azure.training_run",
        {
            **found,
            **work(context),
            "image": chosen,
            "environment": environments.id_of(context),
            "compute": cluster["address"] if cluster else ref(context, "compute", "id"),
        },
        depends_on=after_rights(context),
    )
    base = workspace(context) if cluster else compute(context)
    return Lowered(resources=(*base, *environment, run), outputs=job_outputs(context))
