"""``vector_database`` on Azure: Milvus standalone on a virtual machine, its data on a disk that outlives the machine; or a cluster of
Zilliz Cloud."""

from __future__ import annotations

from urllib.parse import urlsplit

from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.standalone_milvus import PORT, standalone
from mlinfra.provider.zilliz.lowering import lower_zilliz, on_zilliz
from mlinfra_azure.lowering import machines
from mlinfra_azure.lowering.base import inside
from mlinfra_azure.lowering.common import image, location, named, offers, own, text


def lower(spec: VectorDatabase, context: LoweringContext) -> Lowered:
    """An ``azure.disk``, an ``azure.virtual_machine`` with its card and firewall, and an ``azure.reachable``, after which others use it."""
    if on_zilliz(spec, context):
        return lower_zilliz(spec, context, type="azure.zilliz_cluster", region=f"az-{location(context)}")
    asked = standalone(spec, context, target="azure", offers=offers(), region=location(context))
    name = named(context, limit=58)
    disk = context.resource(
        "azure.disk",
        {
            "name": f"{name}-data",
            **inside(context),
            "sku": Map(name="Premium_LRS"),
            "creationData": Map(createOption="Empty"),
            "diskSizeGB": asked.disk,
        },
        role="disk",
    )
    milvus = f"{image(context, 'milvus')}:v{asked.release}"
    data = Map(
        lun=0,
        createOption="Attach",
        caching="ReadOnly",
        deleteOption="Detach",
        managedDisk=Map(id=own(context, "id", role="disk")),
    )
    parts = machines.machine(
        context,
        name=name,
        size=asked.choice.offer.type,
        script=machines.script(_SCRIPT.replace("@IMAGE@", milvus)),
        ports={PORT: "Milvus"},
        disks=(data,),
    )
    override = urlsplit(str(context.settings.get("milvus_uri") or ""))
    ready = context.resource(
        "azure.reachable",
        {
            "host": override.hostname or machines.host(context),
            "port": override.port or PORT,
            "machine": own(context, "id"),
        },
        role="ready",
    )
    return Lowered(
        resources=(disk, *parts, ready),
        outputs=Map(
            id=own(context, "id"),
            uri=override.geturl() or text("http://${host}:19530", host=own(context, "host", role="ready")),
            engine="milvus",
            status=own(context, "status", role="ready"),
            database=spec.database or "default",
            token=None,
        ),
    )


_SCRIPT = """d=/dev/disk/azure/scsi1/lun0
for attempt in $(seq 120); do
  [ -e "$d" ] && break
  [ -e /dev/disk/azure/data/by-lun/0 ] && d=/dev/disk/azure/data/by-lun/0 && break
  sleep 5
done
blkid "$d" || mkfs.ext4 -F "$d"
mkdir -p /mnt/data
grep -q /mnt/data /etc/fstab || echo "UUID=$(blkid -s UUID -o value "$d") /mnt/data ext4 defaults,discard,nofail 0 2" >> /etc/fstab
mount -a && mountpoint -q /mnt/data
mkdir -p /mnt/data/milvus && cd /mnt/data
cat > etcd.yaml <<'EOF'
listen-client-urls: http://0.0.0.0:2379
advertise-client-urls: http://0.0.0.0:2379
auto-compaction-mode: revision
auto-compaction-retention: "1000"
EOF
docker rm -f milvus 2>/dev/null || true
docker run -d --name milvus --restart=always --security-opt seccomp:unconfined -p 19530:19530 \\
  -e ETCD_USE_EMBED=true -e ETCD_DATA_DIR=/var/lib/milvus/etcd -e ETCD_CONFIG_PATH=/milvus/configs/embedEtcd.yaml \\
  -e COMMON_STORAGETYPE=local -e DEPLOY_MODE=STANDALONE \\
  -v /mnt/data/milvus:/var/lib/milvus -v /mnt/data/etcd.yaml:/milvus/configs/embedEtcd.yaml \\
  @IMAGE@ milvus run standalone
"""
"""https://milvus.io/docs/install_standalone-docker.md; the disk is formatted only when it is empty."""
