"""``dataset`` on GCP: objects below the digest of their bytes, with a manifest."""

from __future__ import annotations

from mlinfra.kinds.dataset import Dataset
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.datasets import lowered


def lower(spec: Dataset, context: LoweringContext) -> Lowered:
    """One ``gcp.dataset``."""
    return lowered(spec, context, "gcp.dataset", instead="give steps and jobs the gs:// URI itself, or copy it here first")
