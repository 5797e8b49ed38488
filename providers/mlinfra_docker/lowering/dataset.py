"""``dataset`` on docker: a content-addressed copy in a volume."""

from __future__ import annotations

from pathlib import PurePath

from mlinfra.kinds.dataset import Dataset, local_source
from mlinfra.model.values import Map, Ref, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.naming import physical_name


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``docker.dataset``. The digest of the source is known at plan time, and with it the URI."""
    path = local_source(spec.source)
    if path is None:
        raise context.error(
            "docker.dataset_source",
            f"the docker target cannot read {spec.source}: a dataset's source is a path known at plan time",
            path=("source",),
            hint="write a file or folder of this machine, or use a target that reads that place",
        )
    found = context.digest(path)
    resource = context.resource(
        "docker.dataset",
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
    own = {name: Ref(context.address, (name,)) for name in ("uri", "version", "name", "size")}
    return Lowered(resources=(resource,), outputs=Map({"id": Ref(context.address, ("id",)), **own}))
