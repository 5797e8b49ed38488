"""``training_job`` on Azure: a command job of the ML workspace for each fingerprint, or a job of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.dataclass import replace
from mlinfra.model.values import EMPTY
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name
from mlinfra.provider.runs.lowering import job, job_outputs, ray_job
from mlinfra_azure.lowering import environments
from mlinfra_azure.lowering.base import after_rights, compute, content, ref, store, work, workspace
from mlinfra_azure.lowering.common import image


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """On a Ray cluster one ``azure.ray_run``; else an ``azure.training_run`` and the ``azure.ml_environment_version`` of its image."""
    cluster = spec.cluster if isinstance(spec.cluster, Mapping) else EMPTY
    if cluster.get("engine") == "ray":
        where = {"bucket": content(context), "dashboard": context.settings.get("ray_dashboard") or cluster["dashboard"]}
        name = spec.name or physical_name("", "", context.named)
        lowered = ray_job(spec, context, type="azure.ray_run", name=name, where=where)
        return replace(lowered, resources=(*store(context), *lowered.resources))
    if cluster and cluster.get("engine") != "managed":
        raise context.error("azure.unknown_cluster", "the cluster's engine must be known at plan time", path=("cluster",))
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
