"""``aws.security_group``: a group and its rules, which EC2 changes one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Value
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.table import Listing, Table
from mlinfra_aws.resources.ec2 import Ec2Type, tags


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
