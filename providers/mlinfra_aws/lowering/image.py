"""``image`` on AWS: an ECR repository, and the image in it."""

from __future__ import annotations

from mlinfra.kinds.image import Image
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.images.lowering import lower_image
from mlinfra_aws.lowering.common import named, own


def lower(spec: Image, context: LoweringContext) -> Lowered:
    """A private repository that goes with its images: they can be made again from the spec."""
    repository = context.resource(
        "aws.ecr_repository",
        {
            "RepositoryName": spec.name or named(context, limit=256),
            "ImageScanningConfiguration": Map(ScanOnPush=True),
            "EmptyOnDelete": True,
        },
        role="repository",
    )
    uri = own(context, "RepositoryUri", role="repository")
    return lower_image(spec, context, type="aws.image", repository=uri, resources=(repository,))
