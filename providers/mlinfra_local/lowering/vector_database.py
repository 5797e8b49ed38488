"""``vector_database`` on local: Milvus Lite behind a server process."""

from __future__ import annotations

from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name
from mlinfra.provider.zilliz.lowering import refuse_zilliz


def lower(spec: VectorDatabase, context: LoweringContext) -> Lowered:
    """One ``local.milvus``. ``version`` and ``resources`` choose nothing here: Lite is what is installed, and takes what the host
    has. It knows no users, so a ``token`` is refused rather than ignored."""
    refuse_zilliz(spec, context)
    if spec.token is not None:
        raise context.error(
            "milvus.lite_has_no_users",
            "Milvus Lite has no users: a token would protect nothing",
            path=("token",),
            hint="leave token out where the target is local, for instance with ${env == 'dev' ? null : vars.token}",
        )
    name = physical_name("", "", context.named)
    resource = context.resource("local.milvus", {"name": name, "database": spec.database})
    return Lowered(
        resources=(resource,),
        outputs=Map(
            {
                "id": Ref(context.address, ("name",)),
                "uri": Ref(context.address, ("uri",)),
                "engine": "milvus-lite",
                "status": Ref(context.address, ("status",)),
                "database": spec.database or "default",
                "token": None,
            }
        ),
    )
