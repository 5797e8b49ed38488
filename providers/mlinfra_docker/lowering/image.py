"""``image`` on docker: built, pulled or loaded on the engine."""

from __future__ import annotations

from typing import Any

from mlinfra.kinds.image import Image
from mlinfra.model.values import Map, Ref
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import digest_of
from mlinfra_docker.naming import named


def lower(spec: Image, context: LoweringContext) -> Lowered:
    """One ``docker.image``. What is built or loaded is tagged by the digest of what it is made of."""
    given: dict[str, Any]
    if spec.build is not None:
        build = spec.build
        given = {
            "Build": Map(
                {
                    "Context": build.context,
                    "Digest": context.digest(build.context, "code").digest,
                    "Dockerfile": build.dockerfile,
                    "BuildArgs": Map(build.args),
                    **({"Target": build.target} if build.target is not None else {}),
                    **({"Platform": build.platform} if build.platform is not None else {}),
                }
            )
        }
    elif spec.archive is not None:
        given = {"Load": Map(Path=spec.archive, Digest=context.digest(spec.archive).digest)}
    else:
        given = {"FromImage": spec.source}
    tag = digest_of(Map(given)) if spec.source is None else None
    resource = context.resource("docker.image", {"Name": spec.name or f"mlinfra/{named(context)}", "Tag": tag, **given})
    outputs = {"id": "Id", "name": "Name", "uri": "Reference", "digest": "Digest"}
    return Lowered(
        resources=(resource,),
        outputs=Map({output: Ref(context.address, (attribute,)) for output, attribute in outputs.items()}),
    )
