"""EC2 machines that lowerings make: their network, their image, the scripts that they begin with."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from mlinfra.model.resource import Resource
from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra_aws.lowering.common import given, named, own, service_role

LINUX = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
DEEP_LEARNING = "resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""Who may connect where the settings do not say: private networks."""


def network(context: LoweringContext) -> Mapping[str, Any]:
    """The provider's ``network`` settings."""
    found = context.settings.get("network")
    return found if isinstance(found, Mapping) else EMPTY


def zone(context: LoweringContext, region: str) -> str:
    return str(network(context).get("zone") or f"{region}a")


def script(text: str) -> str:
    """User data as EC2 takes it."""
    return base64.b64encode(text.encode()).decode()


def security_group(context: LoweringContext, name: str, ports: Mapping[int, str], *, inside: bool = False) -> Resource:
    """Lets ``ports`` in from where the settings allow; ``inside``: its members reach each other by every port."""
    allowed = tuple(network(context).get("allow") or PRIVATE)
    rules = [
        Map(IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp=cidr, Description=why)
        for port, why in ports.items()
        for cidr in allowed
    ]
    return context.resource(
        "aws.security_group",
        given(
            GroupName=name,
            GroupDescription=f"{context.component.kind} {context.address}",
            VpcId=network(context).get("vpc"),
            SecurityGroupIngress=tuple(rules),
        ),
        role="firewall",
    )


def profile(context: LoweringContext, name: str, statements: tuple[Map, ...]) -> list[Resource]:
    """What a machine may do: ``statements``, and be reached by Session Manager, so that it needs no key and no open port for that."""
    channel = ("ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
               "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel", "ec2messages:GetMessages")  # fmt: skip
    role = service_role(
        context, f"{name}-machine", [Map(Effect="Allow", Action=channel, Resource="*"), *statements], service="ec2.amazonaws.com"
    )
    instance_profile = context.resource(
        "aws.iam_instance_profile",
        {"InstanceProfileName": f"{name}-machine", "Roles": (own(context, "RoleName", role="role"),)},
        role="profile",
    )
    return [role, instance_profile]


def disk(size: int, *, device: str = "/dev/xvda") -> Map:
    """A root disk of ``size`` GB."""
    return Map(DeviceName=device, Ebs=Map(VolumeSize=size, VolumeType="gp3", Encrypted=True, DeleteOnTermination=True))


def gigabytes(size: Value, least: int) -> int:
    return max(least, round(size / 10**9)) if isinstance(size, (int, float)) else least


def name_of(context: LoweringContext, limit: int = 50) -> str:
    return named(context, limit=limit)
