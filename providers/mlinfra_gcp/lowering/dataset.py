"""``dataset`` on GCP: objects below the digest of their bytes, with a manifest."""

from __future__ import annotations

from pathlib import PurePath

from mlinfra.kinds.dataset import Dataset, local_source
from mlinfra.model.values import Map, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name
from mlinfra_gcp.lowering.common import own


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``gcp.dataset``. The digest of the source is known at plan time, and with it the URI."""
    path = local_source(spec.source)
    if path is None:
        raise context.error(
            "gcp.dataset_source",
            f"a dataset's source is a path of this machine, known at plan time; {spec.source} is none",
            path=("source",),
            hint="give steps and jobs the gs:// URI itself, or copy it here first",
        )
    found = context.digest(path)
    resource = context.resource(
        "gcp.dataset",
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
    return Lowered(resources=(resource,), outputs=Map({n: own(context, n) for n in ("id", "uri", "version", "name", "size")}))
