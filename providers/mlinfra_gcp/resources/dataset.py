"""``gcp.dataset``: versions of files in a bucket, each below the digest of its bytes, with a manifest."""

from __future__ import annotations

from mlinfra.provider.stored_dataset import StoredDataset


class Dataset(StoredDataset):
    """A dataset in Cloud Storage."""

    scheme = "gs://"
