"""``bucket``: a place for objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from mlinfra.kinds.base import Bool, Kind, Str


class Bucket(Kind):
    """A directory, a volume, an S3 or GCS bucket, a storage container. ``name`` overrides the derived physical name."""

    summary: ClassVar[str] = "a place for objects: directory, volume, S3/GCS bucket, storage container"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "uri": "string", "name": "string"}

    name: Str | None = None
    versioning: Bool = False
    force_destroy: Bool = True
