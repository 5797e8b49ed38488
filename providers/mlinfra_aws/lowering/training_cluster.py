"""``training_cluster`` on AWS.

``managed``: the hardware that SageMaker gives a job for as long as it runs: a role and a bucket stand for it, and nothing idles; with ``nodes.min``
above 0 a HyperPod cluster that stays. ``ray``: EC2 machines in an Auto Scaling group, and a head (see :mod:`mlinfra_aws.lowering.ray_cluster`).
"""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import TrainingCluster
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra_aws.lowering import ray_cluster
from mlinfra_aws.lowering.common import (
    bucket,
    may_run_containers,
    named,
    offers,
    own,
    reach,
    region_of,
    service_role,
    text,
)

LEAST = Needs(cpus=2, memory=8 * 2**30)
_KEPT = "hyperpod"


def lower(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    """What the cluster is made of; its outputs tell a job where to run."""
    for name, value in (("engine", spec.engine), ("nodes", spec.nodes)):
        if is_deferred(value):
            raise context.error("aws.unknown_cluster", f"{name} must be known at plan time", path=(name,))
    if is_deferred(spec.nodes.min) or is_deferred(spec.nodes.max):
        raise context.error("aws.unknown_cluster", "the number of nodes must be known at plan time", path=("nodes",))
    if spec.engine == "ray":
        return ray_cluster.lower(spec, context)
    choice = chosen(spec.resources, context, offers=offers(), use="training", region=region_of(context), least=LEAST)
    name = spec.name or named(context, limit=50)
    # who says nothing of nodes wants hardware for jobs, not machines that stay
    kept = spec.nodes.min > 0 and "nodes" in context.component.properties
    resources: list[Resource] = [
        bucket(context, name),
        service_role(context, f"{name}-jobs", [*may_run_containers(), *reach(context, own(context, "BucketName"))], role="role"),
    ]
    if kept:
        resources += _hyperpod(spec, choice, name, context)
    o = choice.offer
    return Lowered(
        resources=tuple(resources),
        outputs=Map(
            id=own(context, "RoleName", role="role"),
            name=own(context, "BucketName"),
            engine="managed",
            address=f"{'hyperpod' if kept else 'sagemaker'}:{o.type}{':spot' if spec.resources.spot else ''}",
            dashboard=None,
            cpus=o.vcpus,
            memory=o.memory,
            accelerators=Map({o.accelerator: o.count}) if o.count else Map(),
            nodes=spec.nodes.max,
        ),
    )


def _hyperpod(spec: TrainingCluster, choice: Choice, name: Value, context: LoweringContext) -> list[Resource]:
    """HyperPod: machines that stay. Its lifecycle script lies in the bucket; one that does nothing is enough."""
    where = own(context, "BucketName")
    script = context.resource(
        "aws.s3_object", {"Bucket": where, "Key": f"{_KEPT}/on_create.sh", "Body": "#!/bin/sh\nexit 0\n"}, role="script"
    )
    group = Map(
        InstanceGroupName="workers",
        InstanceType=choice.offer.type,
        InstanceCount=spec.nodes.min,
        ExecutionRole=own(context, "Arn", role="role"),
        LifeCycleConfig=Map(SourceS3Uri=text(f"s3://${{name}}/{_KEPT}", name=where), OnCreate="on_create.sh"),
    )
    cluster = context.resource(
        "aws.sagemaker_cluster",
        {"ClusterName": name, "InstanceGroups": (group,), "NodeRecovery": "Automatic"},
        role="hyperpod",
        depends_on=(script.address,),
    )
    return [script, cluster]
