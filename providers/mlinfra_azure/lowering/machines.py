"""Virtual machines as the lowerings make them: a network card with a firewall of its own in the shared subnet, a machine without a password,
set up by cloud-init. Without the setting ``allow`` it has no public address; with it, only the ranges named there reach it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra_azure.lowering.base import after_identity, identity, inside, ref, runs_as
from mlinfra_azure.lowering.common import based, own

_SPACE = "10.42.0.0/16"
_UBUNTU = Map(publisher="Canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts-gen2", version="latest")
_WITH_GPU = Map(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2204", version="latest")
"""Has NVIDIA's driver and container runtime: https://learn.microsoft.com/azure/virtual-machines/azure-hpc-vm-images"""
_SETUP = """#!/bin/bash
set -eu
command -v docker || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q docker.io; }
systemctl enable --now docker
"""


def script(commands: str) -> str:
    """``customData``: a shell script after Docker is there, in base64 as ARM takes it."""
    return base64.b64encode((_SETUP + commands).encode()).decode()


def network(context: LoweringContext) -> tuple[Resource, ...]:
    """The network and its subnet, made once an environment where the settings name none."""
    if context.settings.get("network"):
        return ()
    whole = context.shared(
        "azure.virtual_network",
        {"name": based(context, limit=64), **inside(context), "addressSpace": Map(addressPrefixes=(_SPACE,))},
        role="network",
    )
    part = context.shared(
        "azure.subnet",
        {"name": "machines", "parent": ref(context, "network", "id"), "addressPrefix": "10.42.0.0/20"},
        role="subnet",
    )
    return whole, part


def machine(
    context: LoweringContext,
    *,
    name: str,
    size: str,
    script: Value,
    ports: Mapping[int, str],
    role: str = "",
    disks: tuple[Map, ...] = (),
    os_disk: int = 64,
) -> tuple[Resource, ...]:
    """A machine with what it needs. ``ports`` are opened to the ranges of ``allow``; the network's own machines reach all of them."""
    resources = [*identity(context), *network(context), _firewall(context, name, ports, role)]
    allowed = bool(context.settings.get("allow"))
    if allowed:
        resources.append(
            context.resource(
                "azure.public_ip",
                {"name": name, **inside(context), "sku": Map(name="Standard"), "publicIPAllocationMethod": "Static"},
                role=_part(role, "address"),
            )
        )
    nic = context.resource(
        "azure.network_interface",
        {
            "name": name,
            **inside(context),
            "networkSecurityGroup": Map(id=own(context, "id", role=_part(role, "firewall"))),
            "ipConfigurations": (Map(name="main", properties=Map(_address(context, role, allowed))),),
        },
        role=_part(role, "nic"),
    )
    made = context.resource(
        "azure.virtual_machine",
        {
            "name": name,
            **inside(context),
            **runs_as(context),
            "hardwareProfile": Map(vmSize=size),
            "osProfile": Map({**_system(name), "computerName": name[:63], "customData": script}),
            "storageProfile": Map(imageReference=_UBUNTU, osDisk=_os_disk(os_disk), **({"dataDisks": disks} if disks else {})),
            "networkProfile": Map(
                networkInterfaces=(
                    Map(id=own(context, "id", role=_part(role, "nic")), properties=Map(primary=True, deleteOption="Detach")),
                )
            ),
        },
        role=role,
        depends_on=after_identity(context),
    )
    return (*resources, nic, made)


def host(context: LoweringContext, role: str = "") -> Value:
    """The address by which a machine is reached: public where the settings allow somebody in, else that in its network."""
    if context.settings.get("allow"):
        return own(context, "ipAddress", role=_part(role, "address"))
    return own(context, "privateIpAddress", role=_part(role, "nic"))


def scale_set(
    context: LoweringContext, *, name: str, size: str, count: int, script: Value, disk: int, spot: bool, gpu: bool
) -> dict[str, Value]:
    """So many machines alike, behind the firewall that lets nobody in from outside."""
    nic = Map(
        name="main",
        properties=Map(primary=True, ipConfigurations=(Map(name="main", properties=Map(subnet=Map(id=_subnet(context)))),)),
    )
    profile: dict[str, Value] = {
        "osProfile": Map({**_system(name), "computerNamePrefix": name[:50], "customData": script}),
        "storageProfile": Map(imageReference=_WITH_GPU if gpu else _UBUNTU, osDisk=_os_disk(disk)),
        "networkProfile": Map(networkInterfaceConfigurations=(nic,)),
    }
    if spot:
        profile |= {"priority": "Spot", "evictionPolicy": "Delete"}
    return {
        "name": name,
        **inside(context),
        **runs_as(context),
        "sku": Map(name=size, capacity=count),
        "orchestrationMode": "Uniform",
        "overprovision": False,
        "upgradePolicy": Map(mode="Automatic"),
        "virtualMachineProfile": Map(profile),
    }


def _subnet(context: LoweringContext) -> Value:
    return context.settings.get("network") or ref(context, "subnet", "id")


def _address(context: LoweringContext, role: str, allowed: bool) -> dict[str, Value]:
    found: dict[str, Value] = {
        "primary": True, "privateIPAllocationMethod": "Dynamic", "subnet": Map(id=_subnet(context)),
    }  # fmt: skip
    if allowed:
        found["publicIPAddress"] = Map(id=own(context, "id", role=_part(role, "address")))
    return found


def _firewall(context: LoweringContext, name: str, ports: Mapping[int, str], role: str) -> Resource:
    """Azure's default rules let in the network itself and nobody else; a rule for each port lets in the allowed ranges."""
    allowed = tuple(context.settings.get("allow") or ())
    rules = [
        Map(
            name=f"port-{port}",
            properties=Map(
                access="Allow",
                direction="Inbound",
                protocol="Tcp",
                priority=100 + index,
                description=what,
                sourceAddressPrefixes=allowed,
                sourcePortRange="*",
                destinationAddressPrefix="*",
                destinationPortRange=str(port),
            ),
        )
        for index, (port, what) in enumerate(sorted(ports.items()))
        if allowed
    ]
    return context.resource(
        "azure.network_security_group",
        {"name": name, **inside(context), "securityRules": tuple(rules)},
        role=_part(role, "firewall"),
    )


def _system(name: str) -> dict[str, Any]:
    """Nobody logs in: there is no password, and no private half of the key that Azure wants to have."""
    key = Map(path="/home/mlinfra/.ssh/authorized_keys", keyData=_nobody(name))
    return {
        "adminUsername": "mlinfra",
        "linuxConfiguration": Map(disablePasswordAuthentication=True, ssh=Map(publicKeys=(key,))),
    }


def _nobody(name: str) -> str:
    """A public key whose private half nobody has: its point is a digest. Whoever wants to log in gives a key of his own by ``native``."""
    point = hashlib.sha256(f"mlinfra: nobody logs in to {name}".encode()).digest()
    kind = b"ssh-ed25519"
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind, point))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} nobody"


def _os_disk(size: int) -> Map:
    return Map(
        createOption="FromImage",
        diskSizeGB=size,
        caching="ReadWrite",
        deleteOption="Delete",
        managedDisk=Map(storageAccountType="Premium_LRS"),
    )


def _part(role: str, what: str) -> str:
    return f"{role}_{what}" if role else what
