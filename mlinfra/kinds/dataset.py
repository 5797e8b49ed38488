"""``dataset``: files that are known by their content; a changed byte is a new version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field

from mlinfra.kinds.base import Deferrable, Kind, LocalPath, RefTo, Str


class Dataset(Kind):
    """A file or folder, copied into a bucket below the digest of its bytes. Old versions stay beside the new one, so that a
    rollback finds them; ``keep`` bounds how many. ``version`` is the digest; ``uri`` names it."""

    summary: ClassVar[str] = "files known by their content, kept in a bucket: a changed byte is a new version"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "uri": "string",
        "version": "string",
        "name": "string",
        "size": "integer",
    }

    bucket: Annotated[Any, RefTo(("bucket",))]
    source: Annotated[str, Field(min_length=1), Deferrable()]
    name: Str | None = None
    keep: Annotated[int, Field(ge=0), Deferrable()] | None = None

    def local_paths(self) -> Iterable[LocalPath]:
        path = local_source(self.source)
        return () if path is None else (LocalPath(path, "data", ("source",)),)


def local_source(source: object) -> str | None:
    """The local path that a source names, itself or as ``file://…``; None for another scheme or a value not known yet."""
    if not isinstance(source, str):
        return None
    if source.startswith("file://"):
        return unquote(urlsplit(source).path)
    return None if "://" in source else source
