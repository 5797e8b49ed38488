"""``bucket`` on AWS: an S3 bucket, private and encrypted."""

from __future__ import annotations

from mlinfra.kinds.bucket import Bucket
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra_aws.lowering.common import bucket, named, own, text


def lower(spec: Bucket, context: LoweringContext) -> Lowered:
    """One ``aws.s3_bucket``."""
    resource = bucket(context, spec.name or named(context), versioning=spec.versioning, empties=spec.force_destroy)
    name = own(context, "BucketName")
    return Lowered(resources=(resource,), outputs=Map(id=name, name=name, uri=text("s3://${name}", name=name)))
