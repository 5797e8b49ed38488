"""``bucket`` on GCP: a private bucket of Cloud Storage in the region."""

from __future__ import annotations

from mlinfra.kinds.bucket import Bucket
from mlinfra.model.values import Map
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.lowerings import given, own
from mlinfra_gcp.lowering.common import PRIVATE, bucket_name, labels, project, region


def lower(spec: Bucket, context: LoweringContext) -> Lowered:
    """One ``gcp.storage_bucket``: uniform access, no public access."""
    bucket = context.resource(
        "gcp.storage_bucket",
        {
            "project": project(context),
            "name": spec.name or bucket_name(context),
            "location": region(context).upper(),
            "versioning": Map(enabled=spec.versioning),
            "iamConfiguration": PRIVATE,
            "forceDestroy": spec.force_destroy,
            **given(labels=labels(context)),
        },
    )
    return Lowered(resources=(bucket,), outputs=Map(id=own(context, "name"), name=own(context, "name"), uri=own(context, "uri")))
