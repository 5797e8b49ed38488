"""``vector_database`` on docker: Milvus standalone in a container, its data in a volume."""

from __future__ import annotations

from typing import Any

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.zilliz.lowering import refuse_zilliz
from mlinfra_docker.lowering.service import health_check, limits, service
from mlinfra_docker.settings import IMAGES

_VERSIONS = {"2.4": "v2.4.15", "2.5": "v2.5.15", "2.6": "v2.6.11"}
"""The patch of each minor version that is taken; a full version is taken as it is."""
_DEFAULT = "2.6"
_DATA = "/var/lib/milvus"
_ETCD = """\
listen-client-urls: http://127.0.0.1:2379
advertise-client-urls: http://127.0.0.1:2379
quota-backend-bytes: 4294967296
auto-compaction-mode: revision
auto-compaction-retention: '1000'
"""
_ANSWERS = """\
h="Authorization: Bearer $MLINFRA_TOKEN"
curl -s -m 5 -H "$h" http://localhost:19530/v1/vector/collections | grep -Eq '"code": ?(200|1800)' ||
curl -s -m 5 -H "$h" -H 'Content-Type: application/json' -d '{}' http://localhost:19530/v2/vectordb/collections/list | grep -Eq '"code": ?(0|200)'
"""
"""Lists collections over REST: that goes through the proxy and the coordinators, where ``/healthz`` is well before they answer. Both
paths, since versions differ; the answer's own code counts, since the HTTP status is 200 even when broken (1800: it answers, and asks who we are)."""


def lower(spec: VectorDatabase, context: LoweringContext) -> Lowered:
    """One ``docker.milvus``; settings as in Milvus's own scripts/standalone_embed.sh."""
    refuse_zilliz(spec, context)
    environment: dict[str, Any] = {
        "ETCD_USE_EMBED": "true",
        "ETCD_DATA_DIR": f"{_DATA}/etcd",
        "ETCD_CONFIG_PATH": "/milvus/configs/embedEtcd.yaml",
        "COMMON_STORAGETYPE": "local",
        "DEPLOY_MODE": "STANDALONE",
    }
    if spec.token is not None:
        environment |= {"COMMON_SECURITY_AUTHORIZATIONENABLED": "true", "MLINFRA_TOKEN": spec.token}
    server = service(
        context,
        "docker.milvus",
        part="milvus",
        image=_image(spec, context),
        command=("milvus", "run", "standalone"),
        environment=environment,
        target=_DATA,
        port=19530,
        health=health_check(_ANSWERS, patience=180.0),
        files={"/milvus/configs/embedEtcd.yaml": _ETCD},
        more={
            **limits(spec.resources, context),
            "SecurityOpt": ("seccomp:unconfined",),
        },
    )
    return Lowered(
        resources=(server,),
        outputs=Map(
            {
                "id": Ref(context.address, ("Name",)),
                "uri": Ref(context.address, ("uri",)),
                "engine": "milvus",
                "status": Ref(context.address, ("Status",)),
                "database": spec.database or "default",
                "token": spec.token,
            }
        ),
    )


def _image(spec: VectorDatabase, context: LoweringContext) -> str:
    override = context.settings.get("images", Map()).get("milvus")
    if override:
        return str(override)
    version = spec.version or _DEFAULT
    if is_deferred(version):
        raise context.error("docker.unknown_version", "the version must be known at plan time", path=("version",))
    tag = _VERSIONS.get(version.removeprefix("v"))
    if tag is None and version.count(".") < 2:
        raise context.error(
            "docker.unknown_version",
            f"there is no Milvus {version} among those that are known by their minor version: {', '.join(_VERSIONS)}",
            path=("version",),
            hint="write all of it, like 2.6.11, or name an image: providers: {docker: {images: {milvus: …}}}",
        )
    return f"{IMAGES['milvus']}:{tag or 'v' + version.removeprefix('v')}"
