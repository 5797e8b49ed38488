"""``training_cluster`` on Azure: a compute cluster of the ML workspace (``managed``), or a head with a scale set of workers (``ray``)."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import Nodes, TrainingCluster
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen, refuse_unknown
from mlinfra_azure.lowering import machines
from mlinfra_azure.lowering.base import after_identity, compute_parts, workspace, workspace_of
from mlinfra_azure.lowering.common import image, location, named, offers, own, text

_LEAST = Needs(cpus=2, memory=7 * 2**30)


def lower(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    """One ``azure.ml_compute`` (managed), or an ``azure.virtual_machine`` and an ``azure.vm_scale_set`` with what they need (ray)."""
    refuse_unknown(spec.resources, context)
    for name in ("engine", "nodes"):
        if is_deferred(getattr(spec, name)):
            raise context.error(f"azure.unknown_{name}", f"{name} must be known at plan time", path=(name,))
    if is_deferred(spec.nodes.min) or is_deferred(spec.nodes.max):
        raise context.error(
            "azure.unknown_nodes", "nodes must be known at plan time: they are priced by the plan", path=("nodes",)
        )
    use = "vm" if spec.engine == "ray" else "training"
    choice = chosen(spec.resources, context, offers=offers(), use=use, region=location(context), least=_LEAST)
    return _ray(spec, context, choice) if spec.engine == "ray" else _managed(spec, context, choice)


def _managed(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    if spec.resources.disk is not None:
        raise context.error(
            "azure.cluster_disk",
            "the machines of Azure ML's compute clusters have the disk of their size; it cannot be chosen",
            path=("resources", "disk"),
            hint=f"leave disk out ({choice.offer.type} has what its size has), or mount data instead of downloading it",
        )
    least = 0 if spec.nodes == Nodes(min=1) else spec.nodes.min  # nobody asked for machines that stay up
    spot = spec.resources.spot is True
    cluster = context.resource(
        "azure.ml_compute",
        {
            "name": spec.name or named(context, limit=24),
            "parent": workspace_of(context),
            **compute_parts(context, choice.offer.type, least, spec.nodes.max, low_priority=spot),
        },
        depends_on=after_identity(context),
    )
    outputs = _outputs(
        context, choice, spec, name=own(context, "name"), engine="managed", address=own(context, "id"), dashboard=""
    )
    return Lowered(resources=(*workspace(context), cluster), outputs=outputs)


def _outputs(context: LoweringContext, choice: Choice, spec: TrainingCluster, **values: Value) -> Map:
    offer = choice.offer
    hardware = Map(name=offer.accelerator, count=offer.count, memory=offer.accelerator_memory) if offer.count else None
    return Map(
        {
            "id": own(context, "id"),
            "cpus": offer.vcpus,
            "memory": offer.memory,
            "accelerators": hardware,
            "nodes": spec.nodes.max,
            **values,
        }
    )


def _ray(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    if spec.nodes.min != spec.nodes.max:
        raise context.error(
            "azure.ray_autoscaling",
            "a Ray cluster's scale set of workers has one size on azure",
            path=("nodes",),
            hint=f"write nodes: {spec.nodes.max}; or leave engine: ray out: a compute cluster grows and shrinks with its jobs",
        )
    name = named(context, limit=50)
    container, gpus = image(context, "ray"), "--gpus all" if choice.offer.count else ""
    head_of = machines.machine(
        context,
        name=f"{name}-head",
        size="Standard_D4s_v3",
        script=machines.script(_HEAD.replace("@IMAGE@", container)),
        ports={8265: "Ray's dashboard and jobs", 10001: "Ray clients"},
        role="head",
    )
    disk = spec.resources.disk
    workers = context.resource(
        "azure.vm_scale_set",
        machines.scale_set(
            context,
            name=name,
            size=choice.offer.type,
            count=spec.nodes.max,
            script=machines.script(
                _WORKER.replace("@IMAGE@", container).replace("@GPUS@", gpus).replace("@HEAD@", f"{name}-head")
            ),
            disk=round(disk / 10**9) if isinstance(disk, (int, float)) else 128,
            spot=spec.resources.spot is True,
            gpu=choice.offer.count > 0,
        ),
        depends_on=after_identity(context),
    )
    host = machines.host(context, "head")
    outputs = _outputs(
        context, choice, spec, name=own(context, "name"), engine="ray", address=text("ray://${host}:10001", host=host),
        dashboard=text("http://${host}:8265", host=host),
    )  # fmt: skip
    return Lowered(resources=(*head_of, workers), outputs=outputs)


_HEAD = """docker run -d --name ray --restart=always --network=host --shm-size=2g @IMAGE@ \\
  ray start --head --port=6379 --dashboard-host=0.0.0.0 --ray-client-server-port=10001 --block
"""
_WORKER = """docker run -d --name ray --restart=always --network=host --shm-size=2g @GPUS@ @IMAGE@ \\
  ray start --address=@HEAD@:6379 --block
"""
"""Azure's own name service knows the head by its machine's name."""
