"""``training_cluster`` on docker: limits that jobs' containers get, or a Ray cluster of containers."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import Resources, TrainingCluster
from mlinfra.kinds.units import parse_accelerators
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.lowering import refuse_instance_type
from mlinfra_docker.naming import named
from mlinfra_docker.settings import image


def lower(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    """One ``docker.hardware`` (managed), or one ``docker.ray`` (ray)."""
    refuse_instance_type(spec.resources, context)
    if is_deferred(spec.engine):
        raise context.error("lower.unknown_engine", "the engine must be known at plan time", path=("engine",))
    name = spec.name or named(context)
    limits = _limits(spec.resources, context)
    nodes: Value = spec.nodes if is_deferred(spec.nodes) else spec.nodes.min
    if spec.engine == "managed":
        resource = context.resource("docker.hardware", {"name": name, "limits": limits})
        refs = {"address": "", "dashboard": "", "nodes": 1}
    else:
        given = {"name": name, "image": image(context.settings, "ray"), "limits": limits}
        # A cluster always has its head: `nodes: {min: 0}` is one node.
        resource = context.resource("docker.ray", {**given, "nodes": max(nodes, 1) if isinstance(nodes, int) else nodes})
        refs = {output: Ref(context.address, (output,)) for output in ("address", "dashboard", "nodes")}
    outputs: dict[str, Value] = {
        "id": Ref(context.address, ("name",)),
        "name": Ref(context.address, ("name",)),
        "engine": spec.engine,
        "cpus": Ref(context.address, ("cpus",)),
        "memory": Ref(context.address, ("memory",)),
        "accelerators": Ref(context.address, ("gpus",)),
        **refs,
    }
    return Lowered(resources=(resource,), outputs=Map(outputs))


def _limits(resources: Resources, context: LoweringContext) -> Map:
    """``memory`` in bytes, ``cpus`` in cores, ``gpus``: any of the engine's, the engine API cannot ask for a model."""
    gpus: Value = None
    if resources.gpu is not None:
        gpus = resources.gpu.count
    elif isinstance(resources.accelerators, str):
        gpus = parse_accelerators(resources.accelerators).count
    elif resources.accelerators is not None:
        raise context.error("lower.unknown_accelerators", "accelerators must be known at plan time", path=("resources",))
    asked = {"memory": resources.memory, "cpus": resources.cpus, "gpus": gpus}
    return Map({k: v for k, v in asked.items() if v is not None})
