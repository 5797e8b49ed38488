"""``training_cluster`` on GCP.

``managed``: machines of Vertex AI, brought up for each job, or a persistent resource where ``nodes.min`` is above 0. ``ray``: a head and a
managed instance group of workers. A TPU: Vertex AI's for each job where ``nodes.min`` is 0, else a queued resource.
"""

from __future__ import annotations

from urllib.parse import urlencode

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import Nodes, TrainingCluster
from mlinfra.kinds.units import parse_accelerators
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen, refuse_unknown
from mlinfra.provider.lowerings import given, own
from mlinfra_gcp.lowering.common import TPU_MACHINES, labels, machine_spec, named, offers, place, project, region, zone
from mlinfra_gcp.lowering.machines import node_count, outputs_of
from mlinfra_gcp.lowering.ray_cluster import lower_ray

_LEAST = Needs(cpus=4, memory=8 * 2**30)
_RUNTIMES = {"TPU-v5e": "v2-alpha-tpuv5-lite", "TPU-v5p": "v2-alpha-tpuv5", "TPU-v6e": "v2-alpha-tpuv6e"}
"""https://cloud.google.com/tpu/docs/runtimes"""
_GB = 10**9


def lower(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    """One ``gcp.job_hardware`` or ``gcp.vertex_persistent_resource`` (managed), a ``gcp.compute_instance_group_manager`` with what belongs
    to it (ray), or a ``gcp.tpu_queued_resource``."""
    refuse_unknown(spec.resources, context)
    wanted = spec.resources.accelerators
    if wanted is not None and parse_accelerators(wanted).name.upper().startswith("TPU"):
        return _tpu(spec, context)
    engine = spec.engine
    if is_deferred(engine):
        raise context.error("gcp.unknown_engine", "engine must be known at plan time", path=("engine",))
    use = "vm" if engine == "ray" else "training"
    choice = chosen(spec.resources, context, offers=offers(), use=use, region=region(context), least=_LEAST)
    return lower_ray(spec, context, choice) if engine == "ray" else _managed(spec, context, choice)


def _name(spec: TrainingCluster, context: LoweringContext) -> str:
    return str(spec.name or named(context))


def address(choice: Choice, spec: TrainingCluster, context: LoweringContext, persistent: str = "") -> str:
    """How a job names the hardware: ``vertex://us-central1/n1-standard-8?accelerator=NVIDIA_TESLA_T4&count=1``."""
    machine = machine_spec(choice)
    disk = spec.resources.disk
    query = {
        "accelerator": machine.get("acceleratorType"),
        "count": machine.get("acceleratorCount"),
        "topology": machine.get("tpuTopology"),
        "spot": "true" if spec.resources.spot is True else None,
        "disk": round(disk / _GB) if isinstance(disk, (int, float)) else None,
        "persistent": persistent or None,
    }
    found = urlencode({k: v for k, v in query.items() if v is not None})
    return f"vertex://{region(context)}/{machine['machineType']}{'?' + found if found else ''}"


def _managed(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    name = _name(spec, context)
    least, most = node_count(spec, context)
    if least == 0 or spec.nodes == Nodes(min=1):  # nobody asked for machines that stay up
        where = address(choice, spec, context)
        resource = context.resource(
            "gcp.job_hardware", {"name": name, "machine": machine_spec(choice), "address": where, "nodes": most}
        )
        return Lowered(
            resources=(resource,),
            outputs=outputs_of(
                context, choice, most, id=own(context, "name"), name=name, engine="managed", address=where, dashboard=""
            ),
        )
    if spec.resources.spot is True:
        raise context.error(
            "gcp.persistent_spot",
            "a persistent resource of Vertex AI has no spot machines",
            path=("resources", "spot"),
            hint="write nodes: {min: 0, …}: then each job brings up its own spot machines",
        )
    where = address(choice, spec, context, persistent=name)
    pool: dict[str, Value] = {"id": "workers", "machineSpec": machine_spec(choice)}
    if least == most:
        pool["replicaCount"] = most
    else:
        pool["autoscalingSpec"] = Map(minReplicaCount=least, maxReplicaCount=most)
    if isinstance(spec.resources.disk, (int, float)):
        pool["diskSpec"] = Map(bootDiskType="pd-ssd", bootDiskSizeGb=max(100, round(spec.resources.disk / _GB)))
    resource = context.resource(
        "gcp.vertex_persistent_resource",
        {**place(context), "name": name, "displayName": name, "resourcePools": (Map(pool),), **given(labels=labels(context))},
    )
    outputs = outputs_of(
        context, choice, most, id=own(context, "id"), name=own(context, "name"), engine="managed", address=where, dashboard=""
    )
    return Lowered(resources=(resource,), outputs=outputs)


def _tpu(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    choice = chosen(spec.resources, context, offers=offers(), use="tpu", region=region(context))
    if is_deferred(spec.nodes) or spec.nodes.min == 0:
        return _tpu_for_jobs(spec, context, choice)
    name = named(context)
    offer = choice.offer
    location = zone(context)
    node = Map(
        parent=f"projects/{project(context)}/locations/{location}",
        nodeId=name,
        node=Map(
            acceleratorType=offer.type,
            runtimeVersion=_RUNTIMES[offer.accelerator],
            networkConfig=Map(network=str(context.settings.get("network") or "default"), enableExternalIps=True),
            **given(labels=labels(context)),
        ),
    )
    spot = Map() if spec.resources.spot is True else None
    resource = context.resource(
        "gcp.tpu_queued_resource",
        {"project": project(context), "location": location, "name": name, "tpu": Map(nodeSpec=(node,)), **given(spot=spot)},
    )
    outputs = outputs_of(
        context, choice, 1, id=own(context, "id"), name=own(context, "name"), engine="managed",
        address=f"tpu://{location}/{name}", dashboard="",
    )  # fmt: skip
    return Lowered(resources=(resource,), outputs=outputs)


def _tpu_for_jobs(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    """A TPU that Vertex AI brings up for each job."""
    if choice.offer.type not in TPU_MACHINES or spec.resources.spot is True:
        what = "spot TPUs" if spec.resources.spot is True else choice.offer.type
        raise context.error(
            "gcp.tpu_for_jobs",
            f"Vertex AI brings up no {what} for a job",
            path=("resources", "spot" if spec.resources.spot is True else "accelerators"),
            hint=f"write nodes: 1: a queued resource that stands; or for each job one of {', '.join(TPU_MACHINES)}, not spot",
        )
    return _managed(spec, context, choice)
