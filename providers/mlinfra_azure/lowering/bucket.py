"""``bucket`` on Azure: a container in a storage account of its own, private and encrypted."""

from __future__ import annotations

from mlinfra.kinds.bucket import Bucket
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra_azure.lowering.base import PRIVATE, group, inside, url_of
from mlinfra_azure.lowering.common import named, own, worldwide


def lower(spec: Bucket, context: LoweringContext) -> Lowered:
    """An ``azure.storage_account``, its ``azure.blob_service`` where there are versions, an ``azure.storage_container``."""
    if spec.force_destroy is False:
        raise context.error(
            "azure.bucket_force_destroy",
            "Azure deletes a storage account with all that it holds: it cannot be told to keep one that is not empty",
            path=("force_destroy",),
            hint="write lifecycle: {protect: true}: then mlinfra does not delete it",
        )
    account = context.resource(
        "azure.storage_account",
        {"name": worldwide(f"{context.project}{context.environment}{context.named}", context), **inside(context), **PRIVATE},
        role="account",
    )
    holder = own(context, "id", role="account")
    versions = context.resource(
        "azure.blob_service", {"parent": holder, "name": "default", "isVersioningEnabled": spec.versioning}, role="service"
    )
    container = context.resource(
        "azure.storage_container", {"name": spec.name or named(context), "parent": holder, "publicAccess": "None"}
    )
    made = url_of(context, account=own(context, "name", role="account"), container=own(context, "name"))
    return Lowered(
        resources=(*group(context), account, versions, container),
        outputs=Map(
            id=own(context, "id"),
            name=own(context, "name"),
            uri=made if context.component.existing is None else own(context, "url"),
        ),
    )
