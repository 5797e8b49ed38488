"""``training_cluster`` with ``engine: ray`` on GCP: a head, and workers as a managed instance group of one template.

Spot, accelerators with their driver, and what was reserved stand in the template, which is named by its content: a new one stands beside the
old while the group moves over. Workers find the head by its name in the zone's DNS, so that nothing waits for its address.
"""

from __future__ import annotations

from mlinfra.kinds.training_cluster import TrainingCluster
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice
from mlinfra.provider.lowerings import given, own, text
from mlinfra_gcp.lowering.common import image, labels, machine_spec, named, project, zonal, zone
from mlinfra_gcp.lowering.machines import account, boot, interface, node_count, outputs_of

_GB = 10**9


def lower_ray(spec: TrainingCluster, context: LoweringContext, choice: Choice) -> Lowered:
    least, most = node_count(spec, context)
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
            "disks": (boot(50, f"zones/{zone(context)}/diskTypes/pd-balanced"),),
            "networkInterfaces": (interface(context),),
            "metadata": Map(items=(Map(key="startup-script", value=_HEAD.replace("@IMAGE@", image(context, "ray"))),)),
            "tags": Map(items=(name,)),
            "serviceAccounts": account(context, always=True),
            **given(labels=labels(context)),
        },
        role="head",
        depends_on=(own(context, role="inside").address,),
    )
    worker = _GPU_WORKER if choice.offer.count else _WORKER
    script = worker.replace("@IMAGE@", image(context, "ray")).replace("@HEAD@", _inside(context, f"{name}-head"))
    disk = round(spec.resources.disk / _GB) if isinstance(spec.resources.disk, (int, float)) else 100
    properties: dict[str, Value] = {
        "machineType": choice.offer.type.partition("+")[0],
        "disks": (boot(disk, "pd-balanced"),),
        "networkInterfaces": (interface(context),),
        "metadata": Map(items=(Map(key="startup-script", value=script),)),
        "tags": Map(items=(name,)),
        "serviceAccounts": account(context, always=True),
        **given(labels=labels(context)),
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
    else:
        properties["reservationAffinity"] = Map(consumeReservationType="ANY_RESERVATION")  # what was reserved is used first
        if choice.offer.count:
            properties["scheduling"] = Map(onHostMaintenance="TERMINATE", automaticRestart=True)
    template = context.resource(
        "gcp.compute_instance_template",
        {"project": project(context), "name": named(context, content=Map(properties)), "properties": Map(properties)},
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
    allowed = tuple(context.settings.get("allow") or ())
    host = own(context, "externalIp" if allowed else "internalIp", role="head")
    outputs = outputs_of(
        context, choice, most, id=own(context, "id"), name=own(context, "name"), engine="ray",
        address=text("ray://${host}:10001", host=host), dashboard=text("http://${host}:8265", host=host),
    )  # fmt: skip
    return Lowered(resources=(*_firewalls(context, name, allowed), head, template, group), outputs=outputs)


def _firewalls(context: LoweringContext, name: str, allowed: tuple[Value, ...]) -> tuple[Resource, ...]:
    """The cluster's machines reach each other on any network; Ray's client, dashboard and jobs are reached from ``allow``."""
    network = interface(context)["network"]
    common = {"project": project(context), "network": network, "direction": "INGRESS", "targetTags": (name,)}
    inside = context.resource(
        "gcp.compute_firewall",
        {
            **common,
            "name": f"{name}-inside",
            "allowed": (Map(IPProtocol="tcp", ports=("1-65535",)), Map(IPProtocol="udp", ports=("1-65535",))),
            "sourceTags": (name,),
        },
        role="inside",
    )
    if not allowed:
        return (inside,)
    ports = Map(IPProtocol="tcp", ports=("8265", "10001"))
    return (
        inside,
        context.resource(
            "gcp.compute_firewall", {**common, "name": name, "allowed": (ports,), "sourceRanges": allowed}, role="firewall"
        ),
    )


def _inside(context: LoweringContext, machine: str) -> str:
    """A machine's name in its zone's DNS (https://cloud.google.com/compute/docs/internal-dns)."""
    domain, _, name = project(context).rpartition(":")
    return f"{machine}.{zone(context)}.c.{name}{'.' + domain if domain else ''}.internal"


_HEAD = """#!/bin/bash
iptables -w -A INPUT -p tcp -j ACCEPT
docker rm -f ray 2>/dev/null || true
docker run -d --name ray --restart=always --network=host --shm-size=2g @IMAGE@ \\
  ray start --head --num-cpus=0 --port=6379 --dashboard-host=0.0.0.0 --ray-client-server-port=10001 --block
"""
_WORKER = """#!/bin/bash
iptables -w -A INPUT -p tcp -j ACCEPT
docker rm -f ray 2>/dev/null || true
docker run -d --name ray --restart=always --network=host --shm-size=2g @IMAGE@ ray start --address=@HEAD@:6379 --block
"""
_GPU_WORKER = """#!/bin/bash
set -e
iptables -w -A INPUT -p tcp -j ACCEPT
cos-extensions install gpu
mount --bind /var/lib/nvidia /var/lib/nvidia && mount -o remount,exec /var/lib/nvidia
devices=$(for d in /dev/nvidia[0-9]* /dev/nvidiactl /dev/nvidia-uvm; do echo "--device $d"; done)
docker rm -f ray 2>/dev/null || true
docker run -d --name ray --restart=always --network=host --shm-size=8g $devices \\
  -v /var/lib/nvidia/lib64:/usr/local/nvidia/lib64 -v /var/lib/nvidia/bin:/usr/local/nvidia/bin \\
  -e LD_LIBRARY_PATH=/usr/local/nvidia/lib64 @IMAGE@ \\
  ray start --address=@HEAD@:6379 --num-gpus=$(ls -d /dev/nvidia[0-9]* | wc -l) --block
"""
"""Container-Optimized OS has no NVIDIA container runtime: https://cloud.google.com/container-optimized-os/docs/how-to/run-gpus"""
