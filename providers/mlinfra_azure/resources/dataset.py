"""``azure.dataset``: versions of files in a container, each below the digest of its bytes, with a manifest."""

from __future__ import annotations

from mlinfra.provider.stored_dataset import StoredDataset


class Dataset(StoredDataset):
    """A dataset in Blob Storage. ``bucket`` is the container's URL."""
