"""``dataset`` on AWS: objects below the digest of their bytes, and a manifest, in a bucket."""

from __future__ import annotations

from mlinfra.kinds.dataset import Dataset
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.datasets import lowered


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``aws.dataset``."""
    return lowered(
        spec,
        context,
        "aws.dataset",
        instead="name the remote place as a step's input instead: what lies in S3 already needs no copy",
    )
