"""Parts of machines of Compute Engine, and what clusters of them say of themselves."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import TrainingCluster
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.hardware.choice import Choice


def node_count(spec: TrainingCluster, context: LoweringContext) -> tuple[int, int]:
    nodes = spec.nodes
    if is_deferred(nodes) or is_deferred(nodes.min) or is_deferred(nodes.max):
        raise context.error("gcp.unknown_nodes", "nodes must be known at plan time: they are priced by the plan", path=("nodes",))
    return nodes.min, nodes.max


def outputs_of(context: LoweringContext, choice: Choice, nodes: Value, **values: Value) -> Map:
    offer = choice.offer
    hardware = Map(name=offer.accelerator, count=offer.count, memory=offer.accelerator_memory) if offer.count else None
    return Map({"cpus": offer.vcpus, "memory": offer.memory, "accelerators": hardware, "nodes": nodes, **values})


def boot(size: int, disk_type: str) -> Map:
    source = "projects/cos-cloud/global/images/family/cos-stable"
    return Map(boot=True, autoDelete=True, initializeParams=Map(sourceImage=source, diskSizeGb=size, diskType=disk_type))


def interface(context: LoweringContext) -> Map:
    network = str(context.settings.get("network") or "default")
    link = network if "/" in network else f"global/networks/{network}"
    return Map(network=link, accessConfigs=(Map(type="ONE_TO_ONE_NAT", name="External NAT"),))


def account(context: LoweringContext, *, always: bool = False) -> Value:
    """What a machine runs as: the setting's account, or with ``always`` Compute Engine's own where there is none."""
    email = context.settings.get("service_account") or ("default" if always else None)
    return (Map(email=email, scopes=("https://www.googleapis.com/auth/cloud-platform",)),) if email else None
