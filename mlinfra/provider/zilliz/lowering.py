"""``vector_database`` with ``engine: zilliz``: a cluster of Zilliz Cloud in a region of the target's cloud."""

from __future__ import annotations

from mlinfra.kinds import vector_database
from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext, LoweringError
from mlinfra.provider.naming import physical_name
from mlinfra.provider.zilliz.cluster import NAME_LIMIT, ZillizCluster

_WRITTEN = {
    "serverless": "Serverless",
    "standard": "Standard",
    "enterprise": "Enterprise",
    "performance-optimized": "Performance-optimized",
    "capacity-optimized": "Capacity-optimized",
}
_FROM = {"cuSize": "cu_size", "cuType": "cu_type", "replica": "replicas"}


def lower_zilliz(spec: VectorDatabase, context: LoweringContext, *, type: str, region: str) -> Lowered:
    """One cluster. ``type`` is what the target calls it (``aws.zilliz_cluster``), ``region`` the target's region as Zilliz Cloud
    names it: ``aws-us-west-2``, ``gcp-us-west1``, ``az-eastus``."""
    for name in ("version", "resources"):
        if getattr(spec, name) is not None:
            raise context.error(
                "zilliz.sized_otherwise",
                f"Zilliz Cloud takes no {name}: it runs its own version, sized in compute units",
                path=(name,),
                hint="zilliz: {plan: standard, cu_size: 2}, or engine: milvus",
            )
    asked = spec.zilliz or vector_database.ZillizCluster()
    for name in ("plan", "cu_type", "cu_size", "replicas"):
        if is_deferred(getattr(asked, name)):
            raise context.error("zilliz.unknown_size", f"{name} must be known at plan time", path=("zilliz", name))
    dedicated = asked.plan != "serverless"
    cluster = context.resource(
        type,
        {
            "name": physical_name(context.project, context.environment, context.named, limit=NAME_LIMIT),
            "projectId": asked.project,
            "regionId": asked.region or region,
            "plan": _WRITTEN[asked.plan],
            "cuType": _WRITTEN[asked.cu_type or "performance-optimized"] if dedicated else None,
            "cuSize": (asked.cu_size or 1) if dedicated else None,
            "replica": asked.replicas,
        },
    )
    problems: list[Diagnostic] = []
    for (attribute, *_), sentence in ZillizCluster().validate(cluster.attributes):
        problems += context.error("zilliz.impossible", sentence, path=("zilliz", _FROM.get(str(attribute), "plan"))).diagnostics
    if problems:
        raise LoweringError(problems)
    return Lowered(
        resources=(cluster,),
        outputs=Map(
            id=Ref(context.address, ("clusterId",)),
            uri=Ref(context.address, ("connectAddress",)),
            engine="zilliz",
            status=Ref(context.address, ("status",)),
            database=spec.database or "default",
            token=spec.token if spec.token is not None else Ref(context.address, ("token",)),
        ),
    )


def on_zilliz(spec: VectorDatabase, context: LoweringContext) -> bool:
    """Whether it is a cluster of Zilliz Cloud that is asked for; LoweringError while nobody knows."""
    if is_deferred(spec.engine):
        raise context.error("zilliz.unknown_engine", "engine must be known at plan time", path=("engine",))
    return spec.engine == "zilliz"


def refuse_zilliz(spec: VectorDatabase, context: LoweringContext) -> None:
    """LoweringError where a target has no Zilliz Cloud: it runs in the regions of aws, gcp and azure."""
    if on_zilliz(spec, context):
        raise context.error(
            "zilliz.not_here",
            f"Zilliz Cloud runs in the regions of aws, gcp and azure, not on {context.provider}",
            path=("engine",),
            hint="leave engine out here (a Milvus of the target's own), or give this resource target: aws, gcp or azure",
        )
