"""``image`` on Azure: a container registry, and the image in it."""

from __future__ import annotations

from mlinfra.kinds.image import Image
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.images.lowering import lower_image
from mlinfra_azure.lowering.base import group, inside, ref
from mlinfra_azure.lowering.common import named, text, worldwide


def lower(spec: Image, context: LoweringContext) -> Lowered:
    """One registry for all images of an environment, private, and an ``azure.image`` in a repository of its own."""
    registry = context.shared(
        "azure.container_registry",
        {
            "name": worldwide(f"{context.project}{context.environment}", context, limit=50),
            **inside(context),
            "sku": Map(name="Basic"),
            "adminUserEnabled": False,
        },
        role="registry",
    )
    repository = text(
        "${server}/${name}", server=ref(context, "registry", "loginServer"), name=spec.name or named(context, limit=200)
    )
    return lower_image(spec, context, type="azure.image", repository=repository, resources=(*group(context), registry))
