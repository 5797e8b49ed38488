"""``aws.instance``: a machine of EC2; some changes need it to be stopped."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw, dig
from mlinfra_aws.engine.table import Listing, States, Table
from mlinfra_aws.resources.ec2 import Ec2Type, tags

_STAYS = "ec2: it is set when the {} is made"
_STOPPED = {
    "InstanceType": "InstanceType",
    "UserData": "UserData",
    "EbsOptimized": "EbsOptimized",
}
"""What ModifyInstanceAttribute takes while an instance is stopped."""


class Instance(Ec2Type):
    """``aws.instance``. Its type and user data change while it is stopped; what cannot change replaces it."""

    reshaped = frozenset({"IamInstanceProfile", "SecurityGroupIds", "Monitoring", "Tenancy", "PlacementGroupName", "AvailabilityZone",
                          "UserData", "LaunchTemplate"})  # fmt: skip

    def _parameters(self, client: Aws, operation: str, attributes: Map) -> dict[str, Any]:
        found = super()._parameters(client, operation, Map({k: v for k, v in attributes.items() if k not in self.reshaped}))
        profile = attributes.get("IamInstanceProfile")
        if profile:
            found["IamInstanceProfile"] = {"Arn" if str(profile).startswith("arn:") else "Name": profile}
        if attributes.get("SecurityGroupIds"):
            found["SecurityGroupIds"] = list(attributes["SecurityGroupIds"])
        if attributes.get("Monitoring") is not None:
            found["Monitoring"] = {"Enabled": bool(attributes["Monitoring"])}
        placement = {
            api: attributes[ours]
            for ours, api in (
                ("AvailabilityZone", "AvailabilityZone"),
                ("Tenancy", "Tenancy"),
                ("PlacementGroupName", "GroupName"),
            )
            if attributes.get(ours)
        }
        if placement:
            found["Placement"] = placement
        if attributes.get("UserData"):
            found["UserData"] = decoded(attributes["UserData"])
        template = attributes.get("LaunchTemplate")
        if template:
            found["LaunchTemplate"] = dict(template)
        return found

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        return raw

    def _described(self, client: Aws, **parameters: Any) -> list[Raw]:
        rows = client.listed("ec2", "DescribeInstances", "Reservations", **parameters)
        return [i for r in rows for i in r.get("Instances", ()) if not self._is_over(i)]

    def _is_over(self, raw: Raw) -> bool:
        return bool(dig(raw, "State.Name") == "terminated")

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        told = {
            **raw,
            "AvailabilityZone": dig(raw, "Placement.AvailabilityZone"),
            "Tenancy": dig(raw, "Placement.Tenancy"),
            "PlacementGroupName": dig(raw, "Placement.GroupName"),
        }
        found = super()._properties(
            client, id, told, names - (self.reshaped - {"AvailabilityZone", "Tenancy", "PlacementGroupName"})
        )
        if "IamInstanceProfile" in names:
            arn = dig(raw, "IamInstanceProfile.Arn")
            found["IamInstanceProfile"] = arn and str(arn).rpartition("/")[2]
        if "SecurityGroupIds" in names:
            found["SecurityGroupIds"] = tuple([g["GroupId"] for g in raw.get("SecurityGroups", ())]) or None
        if "Monitoring" in names:
            found["Monitoring"] = dig(raw, "Monitoring.State") in ("enabled", "pending")
        if "UserData" in names:
            answer = client.insist("ec2", "DescribeInstanceAttribute", InstanceId=id, Attribute="userData")
            found["UserData"] = dig(answer, "UserData.Value")
        if "EbsOptimized" in names:
            found["EbsOptimized"] = bool(raw.get("EbsOptimized"))
        return found

    def _as_wanted(self, client: Aws, id: str, raw: Raw, wanted: Map) -> Observed:
        seen = super()._as_wanted(client, id, raw, wanted)
        attributes = {**seen.attributes}
        for name, value in wanted.items():
            told = attributes.get(name)
            same_script = name == "UserData" and decoded(str(value)) == decoded(str(told))
            if same_script or (name == "IamInstanceProfile" and str(value).rpartition("/")[2] == told):
                attributes[name] = value
        return Observed(id, Map(attributes))

    async def change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> Raw:
        stopped = changed & _STOPPED.keys()
        seen = Observed(recorded.id, recorded.attributes)
        if stopped:
            await client.run(client.insist, "ec2", "StopInstances", InstanceIds=[recorded.id])
            await self.until(client, seen, frozenset({"stopped"}), desired.timeout)
        await client.run(self._change, client, recorded, desired, changed)
        if stopped:
            await client.run(client.insist, "ec2", "StartInstances", InstanceIds=[recorded.id])
        return await self._settle(client, seen, desired.timeout) if stopped else {}

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        wanted, id = desired.attributes, recorded.id
        for name in sorted(changed & _STOPPED.keys()):
            value = wanted.get(name)
            sent: Any = decoded(str(value or "")).encode() if name == "UserData" else value if value is not None else False
            client.insist("ec2", "ModifyInstanceAttribute", InstanceId=id, **{_STOPPED[name]: {"Value": sent}})
        if "SecurityGroupIds" in changed and wanted.get("SecurityGroupIds"):
            client.insist("ec2", "ModifyInstanceAttribute", InstanceId=id, Groups=list(wanted["SecurityGroupIds"]))
        for name in sorted(changed & {"SourceDestCheck", "DisableApiTermination"}):
            client.insist("ec2", "ModifyInstanceAttribute", InstanceId=id, **{name: {"Value": bool(wanted.get(name))}})
        if "Monitoring" in changed:
            client.insist("ec2", "MonitorInstances" if wanted.get("Monitoring") else "UnmonitorInstances", InstanceIds=[id])
        if "InstanceInitiatedShutdownBehavior" in changed:
            behaviour = wanted.get("InstanceInitiatedShutdownBehavior") or "stop"
            client.insist("ec2", "ModifyInstanceAttribute", InstanceId=id, InstanceInitiatedShutdownBehavior={"Value": behaviour})

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        client.call("ec2", "TerminateInstances", InstanceIds=[recorded.id])


def decoded(text: str) -> str:
    """User data, which CloudFormation has in base64, and people often do not."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text


INSTANCE = Instance(
    Table(
        type="aws.instance",
        cloudformation="AWS::EC2::Instance",
        service="ec2",
        id="InstanceId",
        key="InstanceIds",
        create="RunInstances",
        read="DescribeInstances",
        update="ModifyInstanceAttribute",
        delete="TerminateInstances",
        made="Instances.0",
        found="Reservations.0.Instances.0",
        fixed={"MinCount": 1, "MaxCount": 1},
        only=(
            "ImageId", "InstanceType", "KeyName", "SubnetId", "SecurityGroupIds", "IamInstanceProfile", "UserData", "BlockDeviceMappings",
            "PrivateIpAddress", "LaunchTemplate", "Monitoring", "EbsOptimized", "SourceDestCheck", "AvailabilityZone", "Tenancy",
            "PlacementGroupName", "MetadataOptions", "InstanceInitiatedShutdownBehavior", "DisableApiTermination", "CpuOptions",
            "EnclaveOptions", "HibernationOptions", "NetworkInterfaces", "CreditSpecification", "Tags",
        ),
        silent=("BlockDeviceMappings", "LaunchTemplate", "NetworkInterfaces", "CreditSpecification", "DisableApiTermination",
                "InstanceInitiatedShutdownBehavior", "CpuOptions", "EnclaveOptions", "HibernationOptions", "MetadataOptions"),
        immutable={
            "IamInstanceProfile": _STAYS.format("instance"),
            "BlockDeviceMappings": "AWS::EC2::Instance: volumes are made with the instance",
            "MetadataOptions": _STAYS.format("instance"),
            "Tenancy": _STAYS.format("instance"),
            "CreditSpecification": _STAYS.format("instance"),
        },
        computed={
            "InstanceId": "InstanceId", "PrivateIp": "PrivateIpAddress", "PrivateDnsName": "PrivateDnsName", "PublicIp": "PublicIpAddress",
            "PublicDnsName": "PublicDnsName", "VpcId": "VpcId",
        },
        volatile=("PublicIp", "PublicDnsName"),
        arn="InstanceId",
        tags=tags("instance"),
        listing=Listing(operation="DescribeInstances", items="Reservations", id="InstanceId", gives="all"),
        states=States(
            path="State.Name", ready=frozenset({"running"}), failed=frozenset({"shutting-down", "terminated"}),
            reason="StateReason.Message", after_update=False, until_gone=True, limit=900.0,
        ),
        reread=True,
        costs=True,
    )
)  # fmt: skip
