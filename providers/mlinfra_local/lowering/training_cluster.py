"""``training_cluster`` on local: this host, checked and reserved."""

from __future__ import annotations

from mlinfra.kinds.base import Model
from mlinfra.kinds.training_cluster import TrainingCluster
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.lowering import refuse_instance_type
from mlinfra.provider.naming import physical_name


def lower(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    """One ``local.cluster``."""
    refuse_instance_type(spec.resources, context)
    resource = context.resource(
        "local.cluster",
        {
            "name": spec.name or physical_name("", "", context.named),
            "engine": spec.engine,
            "resources": _plain(spec.resources),
            "nodes": _plain(spec.nodes),
        },
    )
    own = {name: Ref(context.address, (name,)) for name in ("id", "name", "engine", "address", "dashboard", "cpus", "memory")}
    more = {"accelerators": Ref(context.address, ("gpus",)), "nodes": Ref(context.address, ("node_count",))}
    return Lowered(resources=(resource,), outputs=Map({**own, **more}))


def _plain(value: Value) -> Value:
    if not isinstance(value, Model):
        return value
    fields = {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return Map({name: found for name, found in fields.items() if found is not None})
