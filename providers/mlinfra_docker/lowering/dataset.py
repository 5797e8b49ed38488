"""``dataset`` on docker: a content-addressed copy in a volume."""

from __future__ import annotations

from mlinfra.kinds.dataset import Dataset
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.datasets import lowered


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``docker.dataset``."""
    return lowered(
        spec, context, "docker.dataset", instead="write a file or folder of this machine, or use a target that reads that place"
    )
