"""``training_cluster`` on GCP.

``managed``: machines of Vertex AI, brought up for each job, or a persistent resource where ``nodes.min`` is above 0. ``ray``: a head and a
managed instance group of workers. A TPU: a queued resource.
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
from mlinfra_gcp.lowering.common import (
    given,
    image,
    labels,
    machine_spec,
    named,
    offers,
    own,
    place,
    project,
    region,
    text,
    zonal,
    zone,
)

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
    return _ray(spec, context, choice) if engine == "ray" else _managed(spec, context, choice)


def _nodes(spec: TrainingCluster, context: LoweringContext) -> tuple[int, int]:
    nodes = spec.nodes
    if is_deferred(nodes) or is_deferred(nodes.min) or is_deferred(nodes.max):
        raise context.error("gcp.unknown_nodes", "nodes must be known at plan time: they are priced by the plan", path=("nodes",))
    return nodes.min, nodes.max


def _name(spec: TrainingCluster, context: LoweringContext) -> str:
    return str(spec.name or named(context))


def _outputs(context: LoweringContext, choice: Choice, nodes: Value, **values: Value) -> Map:
    offer = choice.offer
    hardware = Map(name=offer.accelerator, count=offer.count, memory=offer.accelerator_memory) if offer.count else None
    return Map({"cpus": offer.vcpus, "memory": offer.memory, "accelerators": hardware, "nodes": nodes, **values})


def address(choice: Choice, spec: TrainingCluster, context: LoweringContext, persistent: str = "") -> str:
    """How a job names the hardware: ``vertex://us-central1/n1-standard-8?accelerator=NVIDIA_TESLA_T4&count=1``."""
    machine = machine_spec(choice)
    disk = spec.resources.disk
    query = {
        "accelerator": machine.get("acceleratorType"),
        "count": machine.get("acceleratorCount"),
        "spot": "true" if spec.resources.spot is True else None,
        "disk": round(disk / _GB) if isinstance(disk, (int, float)) else None,
        "persistent": persistent or None,
    }
    found = urlencode({k: v for k, v in query.items() if v is not None})
    return f"vertex://{region(context)}/{machine['machineType']}{'?' + found if found else ''}"


def _managed(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    name = _name(spec, context)
    least, most = _nodes(spec, context)
    if least == 0 or spec.nodes == Nodes(min=1):  # nobody asked for machines that stay up
        where = address(choice, spec, context)
        resource = context.resource(
            "gcp.job_hardware", {"name": name, "machine": machine_spec(choice), "address": where, "nodes": most}
        )
        return Lowered(
            resources=(resource,),
            outputs=_outputs(
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
    outputs = _outputs(
        context, choice, most, id=own(context, "id"), name=own(context, "name"), engine="managed", address=where, dashboard=""
    )
    return Lowered(resources=(resource,), outputs=outputs)


def _ray(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    least, most = _nodes(spec, context)
    name = named(context, limit=50)
    if least != most:
        raise context.error(
            "gcp.ray_autoscaling",
            "a Ray cluster's group of workers has one size on gcp",
            path=("nodes",),
            hint=f"write nodes: {most}; or leave engine: ray out, and jobs bring up their own machines",
        )
    head = context.resource(
        "gcp.compute_instance",
        {
            **zonal(context),
            "name": f"{name}-head",
            "machineType": f"zones/{zone(context)}/machineTypes/e2-standard-4",
            "disks": (_boot(50, f"zones/{zone(context)}/diskTypes/pd-balanced"),),
            "networkInterfaces": (_interface(context),),
            "metadata": Map(items=(Map(key="startup-script", value=_RAY_HEAD.format(image=image(context, "ray"))),)),
            **given(labels=labels(context), serviceAccounts=_account(context)),
        },
        role="head",
    )
    disk = round(spec.resources.disk / _GB) if isinstance(spec.resources.disk, (int, float)) else 100
    properties: dict[str, Value] = {
        "machineType": choice.offer.type.partition("+")[0],
        "disks": (_boot(disk, "pd-balanced"),),
        "networkInterfaces": (_interface(context),),
        "metadata": Map(
            items=(
                Map(
                    key="startup-script",
                    value=text(
                        _RAY_WORKER.replace("{image}", image(context, "ray")), head=own(context, "internalIp", role="head")
                    ),
                ),
            )
        ),
        **given(labels=labels(context), serviceAccounts=_account(context)),
    }
    gpu = machine_spec(choice)
    if "+" in choice.offer.type:
        kind = str(gpu["acceleratorType"]).lower().replace("_", "-")
        properties["guestAccelerators"] = (Map(acceleratorType=kind, acceleratorCount=gpu["acceleratorCount"]),)
    if spec.resources.spot is True:
        properties["scheduling"] = Map(
            provisioningModel="SPOT",
            preemptible=True,
            automaticRestart=False,
            instanceTerminationAction="STOP",
            onHostMaintenance="TERMINATE",
        )
    elif choice.offer.count:
        properties["scheduling"] = Map(onHostMaintenance="TERMINATE", automaticRestart=True)
    content = Map({k: v for k, v in properties.items() if k != "metadata"})
    template = context.resource(
        "gcp.compute_instance_template",
        {"project": project(context), "name": named(context, content=content), "properties": Map(properties)},
        role="template",
    )
    group = context.resource(
        "gcp.compute_instance_group_manager",
        {
            **zonal(context),
            "name": name,
            "baseInstanceName": named(context, limit=50),
            "instanceTemplate": own(context, "link", role="template"),
            "targetSize": most,
            "updatePolicy": Map(type="PROACTIVE", minimalAction="REPLACE"),
        },
    )
    host = own(context, "internalIp", role="head")
    outputs = _outputs(
        context, choice, most, id=own(context, "id"), name=own(context, "name"), engine="ray",
        address=text("ray://${host}:10001", host=host), dashboard=text("http://${host}:8265", host=host),
    )  # fmt: skip
    return Lowered(resources=(head, template, group), outputs=outputs)


def _tpu(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    choice = chosen(spec.resources, context, offers=offers(), use="tpu", region=region(context))
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
    outputs = _outputs(
        context, choice, 1, id=own(context, "id"), name=own(context, "name"), engine="managed",
        address=f"tpu://{location}/{name}", dashboard="",
    )  # fmt: skip
    return Lowered(resources=(resource,), outputs=outputs)


def _boot(size: int, disk_type: str) -> Map:
    source = "projects/cos-cloud/global/images/family/cos-stable"
    return Map(boot=True, autoDelete=True, initializeParams=Map(sourceImage=source, diskSizeGb=size, diskType=disk_type))


def _interface(context: LoweringContext) -> Map:
    network = str(context.settings.get("network") or "default")
    link = network if "/" in network else f"global/networks/{network}"
    return Map(network=link, accessConfigs=(Map(type="ONE_TO_ONE_NAT", name="External NAT"),))


def _account(context: LoweringContext) -> Value:
    email = context.settings.get("service_account")
    return (Map(email=email, scopes=("https://www.googleapis.com/auth/cloud-platform",)),) if email else None


_RAY_HEAD = """#!/bin/bash
docker run -d --name ray --restart=always --network=host --shm-size=2g {image} \\
  ray start --head --port=6379 --dashboard-host=0.0.0.0 --ray-client-server-port=10001 --block
"""
_RAY_WORKER = """#!/bin/bash
docker run -d --name ray --restart=always --network=host --shm-size=2g {image} ray start --address=${head}:6379 --block
"""
