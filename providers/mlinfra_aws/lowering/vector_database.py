"""``vector_database`` on AWS: Milvus standalone on one EC2 machine, its data on an EBS volume of its own; or Zilliz Cloud.

The volume outlives the machine: a new machine (another size, another version of Milvus) takes it over with all collections.
"""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import Resources
from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.hardware.choice import Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.zilliz.lowering import lower_zilliz, on_zilliz
from mlinfra_aws.lowering import machines
from mlinfra_aws.lowering.common import given, offers, own, region_of, text

LEAST = Needs(cpus=2, memory=8 * 2**30)
VERSION = "2.6"
_TAGS = {"2.6": "v2.6.4", "2.5": "v2.5.18"}
_SCRIPT = """#!/bin/bash
set -eu
root=$(findmnt -no SOURCE / | sed 's/p[0-9]*$//')
for attempt in $(seq 120); do
  disk=$(lsblk -dpno NAME,TYPE | awk -v root="$root" '$2 == "disk" && $1 != root {{ print $1; exit }}')
  [ -n "$disk" ] && break
  sleep 5
done
blkid "$disk" || mkfs.xfs "$disk"
mkdir -p /var/lib/milvus
grep -q /var/lib/milvus /etc/fstab || echo "UUID=$(blkid -s UUID -o value "$disk") /var/lib/milvus xfs defaults,nofail 0 2" >> /etc/fstab
mount -a
cat > /var/lib/milvus/embedEtcd.yaml <<'END'
listen-client-urls: http://0.0.0.0:2379
advertise-client-urls: http://0.0.0.0:2379
quota-backend-bytes: 4294967296
auto-compaction-mode: revision
auto-compaction-retention: '1000'
END
dnf install -y -q docker
systemctl enable --now docker
docker rm -f milvus 2>/dev/null || true
docker run -d --name milvus --restart unless-stopped --security-opt seccomp:unconfined \\
  -e ETCD_USE_EMBED=true -e ETCD_DATA_DIR=/var/lib/milvus/etcd -e ETCD_CONFIG_PATH=/milvus/configs/embedEtcd.yaml \\
  -e COMMON_STORAGETYPE=local -e DEPLOY_MODE=STANDALONE \\
  -v /var/lib/milvus:/var/lib/milvus -v /var/lib/milvus/embedEtcd.yaml:/milvus/configs/embedEtcd.yaml \\
  -p 19530:19530 -p 9091:9091 {image} milvus run standalone
"""


def lower(spec: VectorDatabase, context: LoweringContext) -> Lowered:
    """A firewall, a role with its profile, a volume, a machine, and the one attached to the other; or a Zilliz Cloud cluster."""
    if on_zilliz(spec, context):
        return lower_zilliz(spec, context, type="aws.zilliz_cluster", region=f"aws-{region_of(context)}")
    if is_deferred(spec.version):
        raise context.error("aws.unknown_database", "version must be known at plan time", path=("version",))
    if spec.token is not None:
        raise context.error(
            "aws.milvus_token",
            "a token would stand in the machine's start-up script, which everybody with the right to describe instances can read",
            path=("token",),
            hint="leave it out: the security group lets in private networks alone (providers: {aws: {network: {allow: […]}}})",
        )
    region = region_of(context)
    wanted = spec.resources
    size = Resources(cpus=wanted.cpus if wanted else None, memory=wanted.memory if wanted else None)
    choice = chosen(size, context, offers=offers(), use="vm", region=region, least=LEAST)
    name, zone = machines.name_of(context), machines.zone(context, region)
    subnets = machines.network(context).get("subnets")
    volume = context.resource(
        "aws.ebs_volume",
        {
            "AvailabilityZone": zone,
            "Size": machines.gigabytes(wanted.disk if wanted else None, 50),
            "VolumeType": "gp3",
            "Encrypted": True,
            "Tags": (Map(Key="Name", Value=f"{name}-data"),),
        },
        role="data",
    )
    machine = context.resource(
        "aws.instance",
        given(
            ImageId=machines.LINUX,
            InstanceType=choice.offer.type,
            AvailabilityZone=None if subnets else zone,
            SubnetId=subnets[0] if subnets else None,
            IamInstanceProfile=own(context, "InstanceProfileName", role="profile"),
            SecurityGroupIds=(own(context, "GroupId", role="firewall"),),
            UserData=machines.script(_SCRIPT.format(image=_image(spec, context))),
            BlockDeviceMappings=(machines.disk(30),),
            Tags=(Map(Key="Name", Value=name),),
        ),
    )
    attached = context.resource(
        "aws.volume_attachment",
        {"VolumeId": own(context, "VolumeId", role="data"), "InstanceId": own(context, "InstanceId"), "Device": "/dev/sdf"},
        role="attachment",
    )
    firewall = machines.security_group(context, name, {19530: "Milvus", 9091: "Milvus's health and metrics"})
    id = own(context, "InstanceId")
    uri = context.settings.get("milvus_uri") or text("http://${ip}:19530", ip=own(context, "PrivateIp"))
    outputs = Map(id=id, uri=uri, engine="milvus", status="running", database=spec.database or "default", token=None)
    return Lowered(resources=(firewall, *machines.profile(context, name, ()), volume, machine, attached), outputs=outputs)


def _image(spec: VectorDatabase, context: LoweringContext) -> str:
    images = context.settings.get("images")
    if isinstance(images, Map) and images.get("milvus"):
        return str(images["milvus"])
    version = str(spec.version or VERSION)
    return f"milvusdb/milvus:{_TAGS.get(version, f'v{version}')}"
