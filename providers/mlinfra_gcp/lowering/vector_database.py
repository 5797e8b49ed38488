"""``vector_database`` on GCP: Milvus standalone on a machine of Compute Engine, its data on a disk that outlives the machine;
or a cluster of Zilliz Cloud."""

from __future__ import annotations

from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.lowerings import given, own, text
from mlinfra.provider.standalone_milvus import PORT, standalone
from mlinfra.provider.zilliz.lowering import lower_zilliz, on_zilliz
from mlinfra_gcp.lowering.common import image, labels, named, offers, project, region, zonal, zone
from mlinfra_gcp.lowering.machines import account, boot, interface


def lower(spec: VectorDatabase, context: LoweringContext) -> Lowered:
    """A ``gcp.compute_instance`` with a ``gcp.compute_disk``; a ``gcp.compute_firewall`` for the ranges of the setting ``allow``; and a
    ``gcp.reachable``, after which others use it. Without ``allow`` it is reached by its internal address. With ``engine: zilliz``: a
    ``gcp.zilliz_cluster`` in the region."""
    if on_zilliz(spec, context):
        return lower_zilliz(spec, context, type="gcp.zilliz_cluster", region=f"gcp-{region(context)}")
    asked = standalone(spec, context, target="gcp", offers=offers(), region=region(context))
    name = named(context, limit=56)
    disk = context.resource(
        "gcp.compute_disk",
        {
            **zonal(context),
            "name": f"{name}-data",
            "sizeGb": asked.disk,
            "type": f"zones/{zone(context)}/diskTypes/pd-ssd",
            **given(labels=labels(context)),
        },
        role="disk",
    )
    milvus = f"{image(context, 'milvus')}:v{asked.release}"
    instance = context.resource(
        "gcp.compute_instance",
        {
            **zonal(context),
            "name": name,
            "machineType": f"zones/{zone(context)}/machineTypes/{asked.choice.offer.type}",
            "disks": (
                boot(20, f"zones/{zone(context)}/diskTypes/pd-balanced"),
                Map(source=own(context, "link", role="disk"), deviceName="data", autoDelete=False),
            ),
            "networkInterfaces": (interface(context),),
            "metadata": Map(items=(Map(key="startup-script", value=_SCRIPT.replace("@IMAGE@", milvus)),)),
            "tags": Map(items=(name,)),
            **given(labels=labels(context), serviceAccounts=account(context)),
        },
    )
    allowed = tuple(context.settings.get("allow") or ())
    host = own(context, "externalIp" if allowed else "internalIp")
    ready = context.resource("gcp.reachable", {"host": host, "port": PORT}, role="ready", depends_on=_after(context, allowed))
    return Lowered(
        resources=(disk, instance, *_firewall(context, name, allowed), ready),
        outputs=Map(
            id=own(context, "id"),
            uri=text("http://${host}:19530", host=own(context, "host", role="ready")),
            engine="milvus",
            status=own(context, "status"),
            database=spec.database or "default",
            token=None,
        ),
    )


def _after(context: LoweringContext, allowed: tuple[Value, ...]) -> tuple[str, ...]:
    return (own(context, role="firewall").address,) if allowed else ()


def _firewall(context: LoweringContext, name: str, allowed: tuple[Value, ...]) -> tuple[Resource, ...]:
    if not allowed:
        return ()
    network = str(context.settings.get("network") or "default")
    rule = context.resource(
        "gcp.compute_firewall",
        {
            "project": project(context),
            "name": name,
            "network": network if "/" in network else f"global/networks/{network}",
            "direction": "INGRESS",
            "allowed": (Map(IPProtocol="tcp", ports=(str(PORT),)),),
            "sourceRanges": allowed,
            "targetTags": (name,),
        },
        role="firewall",
    )
    return (rule,)


_SCRIPT = """#!/bin/bash
set -e
d=/dev/disk/by-id/google-data
blkid "$d" || mkfs.ext4 -F "$d"
mkdir -p /mnt/disks/data && mount -o discard,defaults "$d" /mnt/disks/data || true
mountpoint -q /mnt/disks/data
mkdir -p /mnt/disks/data/milvus && cd /mnt/disks/data
cat > etcd.yaml <<'EOF'
listen-client-urls: http://0.0.0.0:2379
advertise-client-urls: http://0.0.0.0:2379
auto-compaction-mode: revision
auto-compaction-retention: "1000"
EOF
iptables -w -A INPUT -p tcp --dport 19530 -j ACCEPT
docker rm -f milvus 2>/dev/null || true
docker run -d --name milvus --restart=always --security-opt seccomp:unconfined -p 19530:19530 \\
  -e ETCD_USE_EMBED=true -e ETCD_DATA_DIR=/var/lib/milvus/etcd -e ETCD_CONFIG_PATH=/milvus/configs/embedEtcd.yaml \\
  -e COMMON_STORAGETYPE=local -e DEPLOY_MODE=STANDALONE \\
  -v /mnt/disks/data/milvus:/var/lib/milvus -v /mnt/disks/data/etcd.yaml:/milvus/configs/embedEtcd.yaml \\
  @IMAGE@ milvus run standalone
"""
"""https://milvus.io/docs/install_standalone-docker.md; the disk is formatted only when it is empty."""
