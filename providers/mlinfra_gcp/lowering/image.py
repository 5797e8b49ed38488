"""``image`` on GCP: a repository of Artifact Registry, and the image in it."""

from __future__ import annotations

from mlinfra.kinds.image import Image
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.images.lowering import lower_image
from mlinfra.provider.lowerings import given, own, text
from mlinfra_gcp.lowering.common import labels, named, place


def lower(spec: Image, context: LoweringContext) -> Lowered:
    """A private repository in the region that goes with its images: they can be made again from the spec."""
    repository = context.resource(
        "gcp.artifact_registry_repository",
        {**place(context), "name": spec.name or named(context), "format": "DOCKER", **given(labels=labels(context))},
        role="repository",
    )
    uri = text("${repository}/image", repository=own(context, "uri", role="repository"))
    return lower_image(spec, context, type="gcp.image", repository=uri, resources=(repository,))
