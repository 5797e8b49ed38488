"""``training_job`` on AWS: a job of a Ray cluster; else a SageMaker training job on the hardware of a managed cluster, or on its own."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.kinds.training_cluster import Resources
from mlinfra.kinds.training_job import TrainingJob
from mlinfra.model.resource import Resource
from mlinfra.model.values import Value, is_known
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.runs.lowering import job, job_outputs, ray_job
from mlinfra_aws.images import for_accelerator, image
from mlinfra_aws.lowering.common import bucket, may_run_containers, named, offers, own, reach, region_of, service_role
from mlinfra_aws.lowering.training_cluster import LEAST


def lower(spec: TrainingJob, context: LoweringContext) -> Lowered:
    """One ``aws.ray_run`` on a Ray cluster; else one ``aws.training_run``, without a cluster also a bucket and a role of its own."""
    if isinstance(spec.cluster, Mapping) and spec.cluster.get("engine") == "ray":
        where = {"bucket": spec.cluster["id"], "dashboard": context.settings.get("ray_dashboard") or spec.cluster["dashboard"]}
        return ray_job(spec, context, type="aws.ray_run", name=spec.name or named(context, limit=46), where=where)
    region = region_of(context)
    resources: list[Resource] = []
    if isinstance(spec.cluster, Mapping):
        place = _on_cluster(spec, spec.cluster, context)
    else:
        resources, place = _alone(context)
    accelerator = str(place.pop("accelerator"))
    run = context.resource(
        "aws.training_run",
        {
            **job(spec, context),
            **place,
            "name": spec.name or named(context, limit=46),
            "image": spec.image or image(context, for_accelerator(accelerator), region),
        },
    )
    return Lowered(resources=(*resources, run), outputs=job_outputs(context))


def _on_cluster(spec: TrainingJob, cluster: Mapping[str, Value], context: LoweringContext) -> dict[str, Value]:
    address, nodes = cluster.get("address"), cluster.get("nodes")
    if isinstance(address, str) and address.startswith("hyperpod:"):
        raise context.error(
            "aws.job_on_hyperpod",
            "machines that stay (nodes.min above 0) are a HyperPod cluster, which takes jobs by its own orchestrator",
            path=("cluster",),
            hint="nodes: {min: 0}: SageMaker then gives the job its hardware for as long as it runs",
        )
    if cluster.get("engine") != "managed" or not isinstance(address, str) or not address.startswith("sagemaker:"):
        raise context.error("aws.unknown_cluster", "the cluster's engine must be known at plan time", path=("cluster",))
    if is_known(spec.processes) and isinstance(nodes, int) and spec.processes > nodes:
        message = f"{spec.processes} processes on at most {nodes} node{'s' if nodes != 1 else ''}: SageMaker gives each a node of its own"
        raise context.error("aws.too_many_processes", message, path=("processes",), hint=f"nodes: {{max: {spec.processes}}}")
    _, instance, *rest = address.split(":")
    accelerators = cluster.get("accelerators")
    return {
        "bucket": cluster["name"],
        "role": cluster["id"],
        "instance_type": instance,
        "spot": "spot" in rest or None,
        "accelerator": next(iter(accelerators), "") if isinstance(accelerators, Mapping) else "",
    }


def _alone(context: LoweringContext) -> tuple[list[Resource], dict[str, Value]]:
    choice = chosen(Resources(), context, offers=offers(), use="training", region=region_of(context), least=LEAST)
    name = named(context, limit=50)
    made = [
        bucket(context, name, role="bucket"),
        service_role(
            context,
            f"{name}-jobs",
            [*may_run_containers(), *reach(context, own(context, "BucketName", role="bucket"))],
            role="role",
        ),
    ]
    place = {
        "bucket": own(context, "BucketName", role="bucket"),
        "role": own(context, "RoleName", role="role"),
        "instance_type": choice.offer.type,
        "accelerator": choice.offer.accelerator,
    }
    return made, place
