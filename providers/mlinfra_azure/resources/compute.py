"""``azure.disk``, ``azure.virtual_machine``, ``azure.vm_scale_set``. https://learn.microsoft.com/rest/api/compute"""

from __future__ import annotations

from mlinfra.model.change import SAFE, Risk, RiskLevel
from mlinfra.model.values import Map
from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_NAME = (r"[a-zA-Z0-9]([-\w.]{0,62}\w)?", "1 to 64 letters, digits, . _ and -, a letter or digit first")
_DISK = "set when the disk is made (Microsoft.Compute/disks@2026-03-02)"
_VM = "set when the machine is made (Microsoft.Compute/virtualMachines@2026-04-01)"
_SET = "set when the scale set is made (Microsoft.Compute/virtualMachineScaleSets@2026-04-01)"
_OS_PROFILE = (
    "computerName",
    "adminUsername",
    "adminPassword",
    "customData",
    "linuxConfiguration",
    "windowsConfiguration",
    "secrets",
)


class Disk(TableType):
    """A managed disk. It grows in place."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.disk", arm="Microsoft.Compute/disks", home="group", changes="patch",
                fixed={n: _DISK for n in ("creationData", "zones", "hyperVGeneration", "osType", "extendedLocation", "securityProfile")},
                name_rule=(r"[a-zA-Z0-9][-\w.]{0,79}", "1 to 80 letters, digits, . _ and -"), holds_data=True, costs=True, assess=_shrinks,
            )
        )  # fmt: skip


class VirtualMachine(TableType):
    """A machine. A new size restarts it."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.virtual_machine", arm="Microsoft.Compute/virtualMachines", home="group", changes="patch", etag=True,
                fixed={**{n: _VM for n in ("zones", "priority", "availabilitySet", "plan", "extendedLocation", "host", "hostGroup", "placement",
                                           "platformFaultDomain", "virtualMachineScaleSet", "licenseType")},
                       **{f"osProfile.{n}": _VM for n in _OS_PROFILE},
                       "storageProfile.imageReference": _VM, "storageProfile.osDisk.name": _VM, "storageProfile.osDisk.createOption": _VM,
                       "storageProfile.osDisk.osType": _VM},
                unread=("osProfile.customData", "osProfile.adminPassword", "userData"), outputs={"vmId": "properties.vmId"},
                name_rule=_NAME, costs=True, serves=True, assess=_restarts,
            )
        )  # fmt: skip


class VmScaleSet(TableType):
    """Machines of one kind; ``sku.capacity`` says how many."""

    def __init__(self) -> None:
        inner = {f"virtualMachineProfile.osProfile.{n}": _SET for n in ("computerNamePrefix", "adminUsername")}
        super().__init__(
            Row(
                type="azure.vm_scale_set", arm="Microsoft.Compute/virtualMachineScaleSets", home="group", changes="patch", etag=True,
                fixed={**{n: _SET for n in ("zones", "orchestrationMode", "platformFaultDomainCount", "plan", "extendedLocation", "placement",
                                            "hostGroup", "proximityPlacementGroup")},
                       **inner, "virtualMachineProfile.priority": _SET},
                unread=("virtualMachineProfile.osProfile.customData", "virtualMachineProfile.osProfile.adminPassword",
                        "virtualMachineProfile.userData"),
                outputs={"uniqueId": "properties.uniqueId"}, name_rule=_NAME, costs=True,
            )
        )  # fmt: skip


def _restarts(before: Map, after: Map) -> Risk:
    if before.get("hardwareProfile") != after.get("hardwareProfile"):
        return Risk(RiskLevel.INTERRUPTS_SERVING, "a new size restarts the machine")
    return SAFE


def _shrinks(before: Map, after: Map) -> Risk:
    old, new = before.get("diskSizeGB"), after.get("diskSizeGB")
    if isinstance(old, int) and isinstance(new, int) and new < old:
        return Risk(RiskLevel.DESTROYS_DATA, f"a disk never shrinks: Azure will refuse {new} GB after {old} GB")
    return SAFE
