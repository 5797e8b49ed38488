"""``dataset`` on AWS: objects below the digest of their bytes, and a manifest, in a bucket."""

from __future__ import annotations

from pathlib import PurePath

from mlinfra.kinds.dataset import Dataset, local_source
from mlinfra.model.values import Map, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name
from mlinfra_aws.lowering.common import own


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``aws.dataset``. The digest of the source is known at plan time, and with it the URI."""
    path = local_source(spec.source)
    if path is None:
        raise context.error(
            "aws.dataset_source",
            f"a dataset's source must be a path of this machine, known at plan time, not {spec.source}",
            path=("source",),
            hint="name the remote place as a step's input instead: what lies in S3 already needs no copy",
        )
    found = context.digest(path)
    resource = context.resource(
        "aws.dataset",
        {
            "bucket": lookup(spec.bucket, ("name",)),
            "name": spec.name or physical_name("", "", context.named),
            "source": path,
            "version": found.digest,
            "size": found.size,
            "file": PurePath(path).name if found.single else "",
            "keep": spec.keep,
        },
    )
    names = ("id", "uri", "version", "name", "size")
    return Lowered(resources=(resource,), outputs=Map({n: own(context, n) for n in names}))
