"""``dataset`` on local: a content-addressed copy in a bucket's directory."""

from __future__ import annotations

from mlinfra.kinds.dataset import Dataset
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.datasets import lowered


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``local.dataset``."""
    return lowered(
        spec, context, "local.dataset", instead="write a file or folder of this machine, or use a target that reads that place"
    )
