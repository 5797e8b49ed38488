"""``image`` in a cloud: a repository of its own, and the image in it."""

from __future__ import annotations

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.image import Image
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Ref, Value
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import digest_of


def lower_image(
    spec: Image, context: LoweringContext, *, type: str, repository: Value, resources: tuple[Resource, ...]
) -> Lowered:
    """``type`` is what the target calls it (``aws.image``), ``repository`` the URI of what ``resources`` make for it. The tag is a digest
    of what the image is made of, so that a new one stands beside the old until everything has moved."""
    given: dict[str, Value]
    if spec.build is not None:
        build = spec.build
        if is_deferred(build.context):
            raise context.error("image.unknown_context", "the context must be known at plan time", path=("build", "context"))
        optional = {"target": build.target, "platform": build.platform, "args": Map(build.args) if build.args else None}
        given = {
            "build": Map(
                {
                    "context": build.context,
                    "digest": context.digest(build.context, "code").digest,
                    "dockerfile": build.dockerfile,
                    **{name: value for name, value in optional.items() if value is not None},
                }
            )
        }
    elif spec.archive is not None:
        given = {"archive": Map(path=spec.archive, digest=context.digest(spec.archive).digest)}
    else:
        given = {"source": spec.source}
    image = context.resource(type, {"repository": repository, "tag": digest_of(Map(given), 20), **given})
    outputs = {"id": "digest", "name": "repository", "uri": "uri", "digest": "digest"}
    return Lowered(
        resources=(*resources, image),
        outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in outputs.items()}),
    )
