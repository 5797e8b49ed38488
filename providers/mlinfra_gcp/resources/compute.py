"""Compute Engine: disks, instances, templates, managed groups, firewalls, networks.

https://cloud.google.com/compute/docs/reference/rest/v1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.change import Risk, RiskLevel
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Invalid
from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.shape import alike
from mlinfra_gcp.table import Body, Row, Setter

_NAME = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
_LABELS = Setter(method="setLabels", body=lambda value, live: {"labels": value, "labelFingerprint": live.get("labelFingerprint")})


def _self_link(collection: str, zoned: bool) -> Any:
    def predict(attributes: Map) -> Mapping[str, Value]:
        project, zone, name = attributes.get("project"), attributes.get("zone"), attributes.get("name")
        if not all(isinstance(v, str) for v in ((project, zone, name) if zoned else (project, name))):
            return {}
        place = f"zones/{zone}" if zoned else "global"
        return {"link": f"projects/{project}/{place}/{collection}/{name}"}

    return predict


def _link(body: Body) -> str:
    return "projects/" + str(body["selfLink"]).split("/projects/", 1)[1]


class Disk(TableType):
    """A persistent disk: it may grow, never shrink, and outlives the machine that it is attached to."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.compute_disk", doc="compute.v1", collection="disks", schema="Disk", scope="zone", create="insert",
                changes="", request_id=True, hidden=("labelFingerprint", "region"),
                setters={"labels": _LABELS, "sizeGb": Setter(method="resize", body=_grown)},
                extra={"link": _link}, predict=_self_link("disks", True), name_pattern=_NAME,
                holds_data=True, costs=True,
            )
        )  # fmt: skip


def _grown(value: Any, live: Body) -> Any:
    if int(value) < int(live["sizeGb"]):
        raise Invalid(
            f"a disk cannot shrink: it has {live['sizeGb']} GB, {value} are wanted",
            path=("sizeGb",),
            hint="make a new disk and copy",
        )
    return {"sizeGb": str(value)}


def _address(name: str) -> Any:
    def read(body: Body) -> str:
        for interface in body.get("networkInterfaces") or ():
            if name == "networkIP":
                return str(interface.get("networkIP", ""))
            for access in interface.get("accessConfigs") or ():
                if access.get("natIP"):
                    return str(access["natIP"])
        return ""

    return read


def _restarts(before: Map, after: Map) -> Risk:
    if not alike(before.get("metadata"), after.get("metadata")):
        return Risk(RiskLevel.SAFE, "new metadata is read when the machine starts the next time")
    return Risk()


class Instance(TableType):
    """A virtual machine."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.compute_instance", doc="compute.v1", collection="instances", schema="Instance", scope="zone", create="insert",
                changes="", request_id=True, hidden=("labelFingerprint",),
                setters={
                    "labels": _LABELS,
                    "metadata": Setter(method="setMetadata", body=_with_fingerprint("metadata")),
                    "tags": Setter(method="setTags", body=_with_fingerprint("tags")),
                },
                extra={"link": _link, "status": lambda b: b["status"], "internalIp": _address("networkIP"), "externalIp": _address("natIP")},
                predict=_instance, name_pattern=_NAME, assess=_restarts, costs=True, serves=True,
            )
        )  # fmt: skip


def _instance(attributes: Map) -> Mapping[str, Value]:
    return {**_self_link("instances", True)(attributes), "status": "RUNNING"}


def _with_fingerprint(name: str) -> Any:
    return lambda value, live: {**(value or {}), "fingerprint": (live.get(name) or {}).get("fingerprint")}


class InstanceTemplate(TableType):
    """A template. It has no labels of its own, so that its description says whose it is."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.compute_instance_template", doc="compute.v1", collection="instanceTemplates", schema="InstanceTemplate",
                scope="global", create="insert", marks=("description",), changes="", request_id=True, hidden=("region",),
                extra={"link": _link}, predict=_self_link("instanceTemplates", False), name_pattern=_NAME, create_first=True,
            )
        )  # fmt: skip


class InstanceGroupManager(TableType):
    """A managed group of machines of one template."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.compute_instance_group_manager", doc="compute.v1", collection="instanceGroupManagers",
                schema="InstanceGroupManager", scope="zone", create="insert", marks=("description",), changes="merge",
                request_id=True, hidden=("region", "status"),
                fixed={n: "set when the group is made (instanceGroupManagers)" for n in ("baseInstanceName", "distributionPolicy", "description")},
                extra={"link": _link, "instanceGroup": lambda b: b.get("instanceGroup", "")},
                predict=_self_link("instanceGroupManagers", True), name_pattern=_NAME, costs=True,
            )
        )  # fmt: skip


class Firewall(TableType):
    """A rule of a network's firewall."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.compute_firewall", doc="compute.v1", collection="firewalls", schema="Firewall", scope="global",
                create="insert", marks=("description",), changes="merge", request_id=True,
                fixed={n: "set when the rule is made (firewalls)" for n in ("network", "direction")},
                extra={"link": _link}, predict=_self_link("firewalls", False), name_pattern=_NAME,
            )
        )  # fmt: skip


class Network(TableType):
    """A VPC network."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.compute_network", doc="compute.v1", collection="networks", schema="Network", scope="global",
                create="insert", marks=("description",), changes="merge", request_id=True, hidden=("IPv4Range", "gatewayIPv4", "peerings"),
                fixed={n: "set when the network is made (networks)" for n in ("autoCreateSubnetworks", "description", "internalIpv6Range",
                       "enableUlaInternalIpv6", "networkProfile")},
                extra={"link": _link}, predict=_self_link("networks", False), name_pattern=_NAME,
            )
        )  # fmt: skip
