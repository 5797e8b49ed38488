"""``training_cluster`` with ``engine: ray`` on AWS: a head, workers in an Auto Scaling group that find it by its tag, a bucket for its jobs.

Spot, an EFA interface where the machine has one, and open capacity reservations stand in the launch template. The group keeps ``nodes.min`` workers
and grows to ``nodes.max`` when its wished size is raised (by a policy of yours, or by hand): Ray's own autoscaler is not set up.
"""

from __future__ import annotations

from mlinfra.kinds.training_cluster import Resources, TrainingCluster
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra_aws.lowering import machines
from mlinfra_aws.lowering.common import allow, bucket, given, offers, own, reach, region_of, text

LEAST = Needs(cpus=2, memory=8 * 2**30)
RAY = "2.60.0"
_EFA = ("p4d.", "p4de.", "p5.48", "p5e.", "p5en.", "p6-b200.", "trn1.32", "trn1n.", "trn2.")
_SETUP = """#!/bin/bash
set -eu
dnf install -y -q python3.11 python3.11-pip
python3.11 -m pip install -q 'ray[default]=={version}' boto3
"""
_HEAD = (
    _SETUP
    + """
/usr/local/bin/ray start --head --port=6379 --dashboard-host=0.0.0.0 --disable-usage-stats --num-cpus=0
"""
)
_WORKER = (
    _SETUP
    + """
token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' http://169.254.169.254/latest/api/token)
region=$(curl -s -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/placement/region)
for attempt in $(seq 120); do
  head=$(aws ec2 describe-instances --region "$region" --query 'Reservations[].Instances[].PrivateIpAddress' --output text \\
    --filters 'Name=tag:mlinfra-ray-head,Values={name}' 'Name=instance-state-name,Values=running')
  [ -n "$head" ] && /usr/local/bin/ray start --address="$head:6379" --disable-usage-stats && exit 0
  sleep 10
done
exit 1
"""
)


def lower(spec: TrainingCluster, context: LoweringContext) -> Lowered:
    """A firewall, a role with its profile, a head, a launch template, an Auto Scaling group, a bucket."""
    region = region_of(context)
    choice = chosen(spec.resources, context, offers=offers(), use="vm", region=region, least=LEAST)
    small = Resources(cpus=2, memory=8 * 10**9)
    head = chosen(small, context, offers=offers(), use="vm", region=region).offer.type
    name = machines.name_of(context)
    group = own(context, "GroupId", role="firewall")
    profile = own(context, "InstanceProfileName", role="profile")
    firewall = machines.security_group(context, name, {10001: "Ray clients", 8265: "Ray's dashboard and jobs"}, inside=True)
    inside = context.resource(
        "aws.resource",
        {
            "type": "AWS::EC2::SecurityGroupIngress",
            "GroupId": group,
            "IpProtocol": "-1",
            "SourceSecurityGroupId": group,
            "Description": "between the nodes",
        },
        role="inside",
    )
    held = own(context, "BucketName", role="bucket")
    rights = (allow(("ec2:DescribeInstances",), ("*",)), *reach(context, held))
    resources = [firewall, inside, bucket(context, name, role="bucket"), *machines.profile(context, name, rights)]
    image = machines.DEEP_LEARNING if choice.offer.count else machines.LINUX
    resources.append(
        context.resource(
            "aws.instance",
            given(
                ImageId=machines.LINUX,
                InstanceType=head,
                IamInstanceProfile=profile,
                SecurityGroupIds=(group,),
                SubnetId=_first(machines.network(context).get("subnets")),
                UserData=machines.script(_HEAD.format(version=RAY)),
                BlockDeviceMappings=(machines.disk(50),),
                Tags=(Map(Key="mlinfra-ray-head", Value=name), Map(Key="Name", Value=f"{name}-head")),
            ),
            role="head",
        )
    )
    resources.append(_template(spec, choice, name, image, group, profile, context))
    resources.append(_workers(spec, name, region, context))
    o = choice.offer
    ip = own(context, "PrivateIp", role="head")
    return Lowered(
        resources=tuple(resources),
        outputs=Map(
            id=held,
            name=own(context, "AutoScalingGroupName"),
            engine="ray",
            address=text("ray://${ip}:10001", ip=ip),
            dashboard=text("http://${ip}:8265", ip=ip),
            cpus=o.vcpus,
            memory=o.memory,
            accelerators=Map({o.accelerator: o.count}) if o.count else Map(),
            nodes=spec.nodes.max,
        ),
    )


def _first(values: Value) -> Value:
    return values[0] if values else None


def _template(
    spec: TrainingCluster, choice: Choice, name: str, image: str, group: Value, profile: Value, context: LoweringContext
) -> Resource:
    spot = spec.resources.spot is True
    fast = spec.nodes.max > 1 and choice.offer.type.startswith(_EFA)
    card = Map(DeviceIndex=0, NetworkCardIndex=0, InterfaceType="efa", Groups=(group,), DeleteOnTermination=True)
    data = given(
        ImageId=image,
        InstanceType=choice.offer.type,
        IamInstanceProfile=Map(Name=profile),
        SecurityGroupIds=None if fast else (group,),
        NetworkInterfaces=(card,) if fast else None,
        InstanceMarketOptions=Map(MarketType="spot") if spot else None,
        CapacityReservationSpecification=None if spot else Map(CapacityReservationPreference="open"),
        BlockDeviceMappings=(machines.disk(machines.gigabytes(spec.resources.disk, 100)),),
        MetadataOptions=Map(HttpTokens="required"),
        UserData=machines.script(_WORKER.replace("{version}", RAY).replace("{name}", name)),
    )
    return context.resource("aws.launch_template", {"LaunchTemplateName": name, "LaunchTemplateData": Map(data)}, role="template")


def _workers(spec: TrainingCluster, name: str, region: str, context: LoweringContext) -> Resource:
    subnets = machines.network(context).get("subnets")
    return context.resource(
        "aws.autoscaling_group",
        given(
            AutoScalingGroupName=name,
            MinSize=str(spec.nodes.min),
            MaxSize=str(spec.nodes.max),
            VPCZoneIdentifier=tuple(subnets) if subnets else None,
            AvailabilityZones=None if subnets else (machines.zone(context, region),),
            LaunchTemplate=Map(
                LaunchTemplateName=own(context, "LaunchTemplateName", role="template"),
                Version=own(context, "LatestVersionNumber", role="template"),
            ),
            Tags=(Map(Key="Name", Value=f"{name}-worker", PropagateAtLaunch=True),),
        ),
    )
