"""EC2: security groups, launch templates, instances, volumes and their attachment. EC2 gives the ids; objects are found by their tags."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import AlreadyExists, Conflict, Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.answers import Raw, dig
from mlinfra_aws.engine.listed import ListedType
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.table import Listing, States, Table
from mlinfra_aws.engine.tags import Tags


def tags(kind: str) -> Tags:
    return Tags(inside="Tags", by="Resources", of="id", add="CreateTags", remove="DeleteTags", keys="Tags", type=kind)


class Ec2Type(ListedType):
    """What EC2 describes by ids and by tags. One describe call reads all of a type that are recorded."""

    def _list(self, client: Aws, most: int) -> tuple[dict[str, Raw], bool]:
        """Those of this project and environment, by their marks."""
        mine = [
            {"Name": "tag:mlinfra:project", "Values": [client.project]},
            {"Name": "tag:mlinfra:env", "Values": [client.environment]},
        ]
        return {str(self._id(raw)): raw for raw in self._described(client, Filters=mine)}, False

    def _described(self, client: Aws, **parameters: Any) -> list[Raw]:
        listing = self.table.listing
        assert listing is not None
        return client.listed("ec2", listing.operation, listing.items, **parameters)

    def _id(self, raw: Raw) -> Any:
        assert self.table.listing is not None
        return dig(raw, self.table.listing.id)

    def _search(self, client: Aws, desired: Desired, token: str) -> str:
        found = self._described(client, Filters=[{"Name": f"tag:{tagging.OP}", "Values": [token]}])
        return next((str(self._id(raw)) for raw in found if not self._is_over(raw)), "")

    def _is_over(self, raw: Raw) -> bool:
        """Whether EC2 still tells of what is deleted already."""
        return False

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        return None if raw is None or self._is_over(raw) else raw


class SecurityGroup(Ec2Type):
    """``aws.security_group``. ``SecurityGroupEgress`` replaces EC2's rule that lets everything out."""

    reshaped = frozenset({"SecurityGroupIngress", "SecurityGroupEgress"})

    def _complete(self, client: Aws, desired: Desired, observed: Observed) -> None:
        self._allow(client, observed.id, "Ingress", desired.attributes.get("SecurityGroupIngress") or ())
        if "SecurityGroupEgress" in desired.attributes:
            everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            with suppress(NotFound, Invalid):
                client.insist("ec2", "RevokeSecurityGroupEgress", GroupId=observed.id, IpPermissions=[everything])
            self._allow(client, observed.id, "Egress", desired.attributes["SecurityGroupEgress"] or ())

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        for name, way in (("SecurityGroupIngress", "Ingress"), ("SecurityGroupEgress", "Egress")):
            if name in desired.attributes and found.attributes.get(name) != desired.attributes[name]:
                self._rewrite(client, found.id, way, found.attributes.get(name) or (), desired.attributes[name] or ())
        return Observed(
            found.id, Map({**found.attributes, **{k: v for k, v in desired.attributes.items() if k in self.reshaped}})
        )

    def _allow(self, client: Aws, id: str, way: str, rules: Sequence[Mapping[str, Any]]) -> None:
        if rules:
            client.insist(
                "ec2", f"AuthorizeSecurityGroup{way}", path=(f"SecurityGroup{way}",), GroupId=id,
                IpPermissions=[permission(r) for r in rules],
            )  # fmt: skip

    def _rewrite(self, client: Aws, id: str, way: str, before: Sequence[Map], after: Sequence[Map]) -> None:
        gone = [r for r in before if r not in after]
        if gone:
            with suppress(NotFound):
                client.insist("ec2", f"RevokeSecurityGroup{way}", GroupId=id, IpPermissions=[permission(r) for r in gone])
        self._allow(client, id, way, [r for r in after if r not in before])

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found = super()._properties(client, id, raw, names - self.reshaped)
        if "SecurityGroupIngress" in names:
            found["SecurityGroupIngress"] = rules(raw.get("IpPermissions") or (), "Source") or None
        if "SecurityGroupEgress" in names:
            found["SecurityGroupEgress"] = rules(raw.get("IpPermissionsEgress") or (), "Destination") or None
        return found

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        for way in ("Ingress", "Egress"):
            name = f"SecurityGroup{way}"
            if name in changed:
                self._rewrite(client, recorded.id, way, recorded.attributes.get(name) or (), desired.attributes.get(name) or ())


def permission(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of CloudFormation as EC2's IpPermission."""
    note = {"Description": rule["Description"]} if rule.get("Description") else {}
    sent: dict[str, Any] = {"IpProtocol": str(rule["IpProtocol"])}
    for name in ("FromPort", "ToPort"):
        if rule.get(name) is not None:
            sent[name] = int(rule[name])
    if rule.get("CidrIp"):
        sent["IpRanges"] = [{"CidrIp": rule["CidrIp"], **note}]
    if rule.get("CidrIpv6"):
        sent["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **note}]
    group = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    if group:
        owner = {"UserId": rule["SourceSecurityGroupOwnerId"]} if rule.get("SourceSecurityGroupOwnerId") else {}
        sent["UserIdGroupPairs"] = [{"GroupId": group, **owner, **note}]
    prefix = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
    if prefix:
        sent["PrefixListIds"] = [{"PrefixListId": prefix, **note}]
    return sent


def rules(permissions: Sequence[Mapping[str, Any]], side: str) -> tuple[Map, ...]:
    """EC2's IpPermissions as CloudFormation's rules: one a range."""
    found: list[Map] = []
    for p in permissions:
        base = {"IpProtocol": p["IpProtocol"], **{n: p[n] for n in ("FromPort", "ToPort") if p.get(n) is not None}}
        group = "SourceSecurityGroupId" if side == "Source" else "DestinationSecurityGroupId"
        for key, member, name in (
            ("IpRanges", "CidrIp", "CidrIp"),
            ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"),
            ("UserIdGroupPairs", "GroupId", group),
            ("PrefixListIds", "PrefixListId", f"{side}PrefixListId"),
        ):
            for item in p.get(key) or ():
                note = {"Description": item["Description"]} if item.get("Description") else {}
                found.append(Map({**base, name: item[member], **note}))
    return tuple(found)


SECURITY_GROUP = SecurityGroup(
    Table(
        type="aws.security_group",
        cloudformation="AWS::EC2::SecurityGroup",
        service="ec2",
        name="GroupName",
        id="GroupId",
        key="GroupIds",
        create="CreateSecurityGroup",
        read="DescribeSecurityGroups",
        update="AuthorizeSecurityGroupIngress",
        delete="DeleteSecurityGroup",
        found="SecurityGroups.0",
        names={"GroupDescription": "Description"},
        computed={"GroupId": "GroupId"},
        arn="GroupId",
        tags=tags("security-group"),
        listing=Listing(operation="DescribeSecurityGroups", items="SecurityGroups", id="GroupId", gives="all"),
        alphabet=r"a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*",
        limit=255,
    )
)


class LaunchTemplate(Ec2Type):
    """``aws.launch_template``. A changed content is a new version, which becomes the default one."""

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        raw = super()._look(client, id, call)
        if raw is None:
            return None
        versions = (call or client.call)("ec2", "DescribeLaunchTemplateVersions", LaunchTemplateId=id, Versions=["$Default"])
        newest = versions["LaunchTemplateVersions"][0]
        return {**raw, "LaunchTemplateData": newest["LaunchTemplateData"], "VersionDescription": newest.get("VersionDescription")}

    def _by_item(self, client: Aws, r: ResourceState, item: Raw, tagged: Any) -> Observed | None:
        """The list tells all but the content: a version number that has not moved says that it is the same."""
        same = item.get("LatestVersionNumber") == r.attributes.get("LatestVersionNumber")
        if not same or item.get("DefaultVersionNumber") != item.get("LatestVersionNumber"):
            return None
        content = {k: r.attributes[k] for k in ("LaunchTemplateData", "VersionDescription") if k in r.attributes}
        seen = self._seen(client, r, {**item, **content})
        return Observed(seen.id, Map({**seen.attributes, **content}))

    def _read_listed(self, client: Aws, r: ResourceState, item: Raw | None) -> Observed | None:
        return self._read_with(client, r, client.insist)

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        sent = self._parameters(client, "CreateLaunchTemplateVersion", desired.attributes)
        sent.pop("LaunchTemplateName", None)
        answer = client.call("ec2", "CreateLaunchTemplateVersion", **{**sent, "LaunchTemplateId": recorded.id})
        number = str(answer["LaunchTemplateVersion"]["VersionNumber"])
        client.insist("ec2", "ModifyLaunchTemplate", LaunchTemplateId=recorded.id, DefaultVersion=number)


LAUNCH_TEMPLATE = LaunchTemplate(
    Table(
        type="aws.launch_template",
        cloudformation="AWS::EC2::LaunchTemplate",
        service="ec2",
        name="LaunchTemplateName",
        id="LaunchTemplateId",
        key="LaunchTemplateId",
        create="CreateLaunchTemplate",
        read="DescribeLaunchTemplates",
        update="CreateLaunchTemplateVersion",
        delete="DeleteLaunchTemplate",
        made="LaunchTemplate",
        found="LaunchTemplates.0",
        without=("TagSpecifications",),
        reads=("LaunchTemplateData", "VersionDescription"),
        computed={"LaunchTemplateId": "LaunchTemplateId", "LatestVersionNumber": "LatestVersionNumber"},
        volatile=("LatestVersionNumber",),
        arn="LaunchTemplateId",
        tags=tags("launch-template"),
        listing=Listing(operation="DescribeLaunchTemplates", items="LaunchTemplates", id="LaunchTemplateId", gives="all"),
        reread=True,
        alphabet=r"a-zA-Z0-9().\-/_",
        limit=128,
    )
)

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


class Volume(Ec2Type):
    """``aws.ebs_volume``: it grows, and changes its kind, in place."""

    def _update(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        wanted = desired.attributes
        sent = {n: wanted[n] for n in ("Size", "VolumeType", "Iops", "Throughput") if n in changed and wanted.get(n) is not None}
        if "Size" in changed and (wanted.get("Size") or 0) < (recorded.attributes.get("Size") or 0):
            raise Invalid("an EBS volume cannot shrink", path=("Size",), hint="make a smaller one beside it and copy")
        if sent:
            client.call("ec2", "ModifyVolume", VolumeId=recorded.id, **sent)

    def _is_over(self, raw: Raw) -> bool:
        return raw.get("State") in ("deleting", "deleted")


VOLUME = Volume(
    Table(
        type="aws.ebs_volume",
        cloudformation="AWS::EC2::Volume",
        service="ec2",
        id="VolumeId",
        key="VolumeIds",
        create="CreateVolume",
        read="DescribeVolumes",
        update="ModifyVolume",
        delete="DeleteVolume",
        found="Volumes.0",
        without=("AutoEnableIO", "SourceVolumeId", "VolumeInitializationRate", "AvailabilityZoneId", "OutpostArn"),
        immutable={n: "AWS::EC2::Volume: it is set when the volume is made"
                   for n in ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId", "MultiAttachEnabled")},
        computed={"VolumeId": "VolumeId"},
        arn="VolumeId",
        tags=tags("volume"),
        listing=Listing(operation="DescribeVolumes", items="Volumes", id="VolumeId", gives="all"),
        states=States(path="State", ready=frozenset({"available", "in-use"}), failed=frozenset({"error"}), after_update=False, limit=600.0),
        holds_data=True,
        costs=True,
    )
)  # fmt: skip


class VolumeAttachment(TableType):
    """``aws.volume_attachment``: that a volume is attached to an instance. A relation; the id is ``volume|instance``."""

    def id_of(self, client: Aws, attributes: Map) -> str:
        return f"{attributes['VolumeId']}|{attributes['InstanceId']}"

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        self._check(desired)
        volume = desired.attributes["VolumeId"]
        standing = await client.run(self._attached, client, str(volume))
        if standing is not None:
            raise AlreadyExists(
                f"{volume} is attached to {standing['InstanceId']} already, and not by this spec",
                import_id=f"{volume}|{standing['InstanceId']}", path=("VolumeId",),
            )  # fmt: skip
        seen = Observed(self.id_of(client, desired.attributes), desired.attributes)
        instance = Observed(str(desired.attributes["InstanceId"]), desired.attributes)
        await INSTANCE.until(client, instance, frozenset({"running", "stopped", "terminated"}), desired.timeout)
        sent = {n: desired.attributes[n] for n in ("VolumeId", "InstanceId", "Device") if n in desired.attributes}
        await client.run(client.call, "ec2", "AttachVolume", **sent)
        await self.until(client, seen, frozenset({"attached"}), desired.timeout)
        return seen

    def _attached(self, client: Aws, volume: str) -> Mapping[str, Any] | None:
        raw = VOLUME._look(client, volume)
        found = [a for a in (raw or {}).get("Attachments", ()) if a.get("State") not in ("detached", "detaching")]
        return found[0] if found else None

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        volume, _, instance = id.partition("|")
        raw = VOLUME._look(client, volume, call)
        return next(
            (a for a in (raw or {}).get("Attachments", ()) if a.get("InstanceId") == instance and a.get("State") != "detached"),
            None,
        )

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        raw = await client.run(self._look, client, id)
        return None if raw is None else Observed(id, Map({n: raw[n] for n in ("VolumeId", "InstanceId", "Device") if n in raw}))

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        volume, _, instance = recorded.id.partition("|")
        with suppress(NotFound, Conflict):
            await client.run(client.call, "ec2", "DetachVolume", VolumeId=volume, InstanceId=instance)
        await self.until(client, Observed(recorded.id, recorded.attributes), frozenset({"detached"}), gone=True)


VOLUME_ATTACHMENT = VolumeAttachment(
    Table(
        type="aws.volume_attachment",
        cloudformation="AWS::EC2::VolumeAttachment",
        service="ec2",
        key="VolumeIds",
        create="AttachVolume",
        read="DescribeVolumes",
        delete="DetachVolume",
        without=("EbsCardIndex",),
        states=States(path="State", ready=frozenset({"attached"}), limit=600.0),
    )
)
