"""The local provider's client: the folders it works in. Nothing is created before it is needed."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Invalid

if TYPE_CHECKING:
    from mlinfra_local.settings import LocalConfig

SCHEME = "local://"
"""How a place below the data folder is written in attributes: the same for every clone of a project."""


TRASH = ".trash"
"""A folder below the data folder, or in one of its areas: what is on its way out."""


class LocalClient:
    """Paths for this project and environment. ``base`` is the spec's folder; ``data`` holds everything we make.

    Layout of ``data``: ``buckets/NAME``, ``services/NAME`` (pid, config and log of a supervised process),
    ``runs/NAME`` (outputs, and results by fingerprint), ``code/DIGEST`` and ``environments/DIGEST`` (shared by runs),
    ``registries/NAME``.
    """

    def __init__(self, config: LocalConfig, context: ProviderContext) -> None:
        self.base = context.base
        self.project = context.project
        self.environment = context.environment
        self.excluded = context.excluded
        self.data = (
            (context.base / config.root / f"{context.project}-{context.environment or 'default'}")
            if config.root
            else context.data
        )

    def folder(self, area: str, name: str) -> Path:
        """``data/area/name``, absolute, not created. Invalid when ``name`` would leave the area."""
        parent = (self.data / area).resolve()
        folder = (parent / name).resolve()
        if folder == parent or not folder.is_relative_to(parent):
            raise Invalid(f"{name!r} cannot be the name of a folder")
        return folder

    def path_of(self, uri: str) -> Path:
        """The absolute path behind ``local://AREA/…``, ``file://…`` or a path relative to the spec. Nothing need be there.

        Invalid for any other scheme, and for a ``local://`` URI that leaves the data folder."""
        if uri.startswith(SCHEME):
            root = self.data.resolve()
            found = (root / uri.removeprefix(SCHEME)).resolve()
            if not found.is_relative_to(root):
                raise Invalid(f"{uri!r} leaves the data folder")
            return found
        parts = urlsplit(uri)
        if parts.scheme == "file":
            return Path(unquote(parts.path))
        if "://" in uri:
            raise Invalid(
                f"{uri!r} is no place on this machine", hint="the local target reads local:// and file:// URIs and paths"
            )
        return (self.base / uri).resolve()

    def uri_of(self, path: Path) -> str:
        """``local://…`` of a path below the data folder."""
        return SCHEME + path.resolve().relative_to(self.data.resolve()).as_posix()

    def discard(self, path: Path) -> None:
        """Delete a file or folder so that it is there whole or not at all, whenever we are killed. Gone already is fine."""
        discard(path, self.data / TRASH)

    async def close(self) -> None:
        """What a kill left of deletions goes; after everything was destroyed no empty folder is left behind either."""
        await asyncio.to_thread(self._prune)

    def _prune(self) -> None:
        for trash in (self.data / TRASH, *self.data.glob(f"*/{TRASH}")):
            shutil.rmtree(trash, ignore_errors=True)
        if self.data.is_dir():
            for folder in (*self.data.iterdir(), self.data, self.data.parent):
                with suppress(OSError):  # something is in it
                    folder.rmdir()


def discard(path: Path, trash: Path | None = None) -> None:
    """Delete ``path`` by way of ``trash`` (on the same file system; default: beside it), so that nobody ever sees half of it."""
    trash = trash or path.with_name(TRASH)
    doomed = trash / secrets.token_hex(6)
    while os.path.lexists(path):
        # others come and go in the same trash, and take the empty folder away: then it is made again
        with suppress(FileNotFoundError, FileExistsError):
            trash.mkdir(parents=True, exist_ok=True)
            path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
    with suppress(OSError):  # somebody else's is in it
        doomed.unlink()
    with suppress(OSError):
        trash.rmdir()
