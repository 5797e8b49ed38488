"""Folders kept by the digest of their content: ``PARENT/<first 12 digits>/``, and a manifest beside each.

The manifest holds sizes and times, so that a later check reads no byte of a file that looks untouched; the digest itself is
in the folder's name. Every move is a rename: a folder of that name is whole.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlinfra.provider import files
from mlinfra.provider.failures import Invalid
from mlinfra_local.execution.scratch import write_atomically

SHORT = 12
"""Digits of a digest that name a folder."""


@dataclass(frozen=True, slots=True)
class Stored:
    """``digest`` is ``sha256:…`` in full; ``size`` in bytes."""

    digest: str
    size: int
    files: int


def short(digest: str) -> str:
    """``sha256:0123…`` → its first twelve hex digits."""
    return digest.removeprefix("sha256:")[:SHORT]


def keep(parent: Path, folder: Path) -> Stored:
    """Move ``folder`` into the store; when the same content is there already, that stays and ``folder`` goes."""
    selected = _content(folder)
    if any(f.path.is_symlink() or f.path.resolve() != f.path for f in selected):
        selected = _copied(selected, folder.with_name(folder.name + ".copy"))
        shutil.rmtree(folder)
        folder.with_name(folder.name + ".copy").rename(folder)
        selected = _content(folder)
    found = files.digest_files(selected)
    stored = Stored(found.digest, found.size, found.files)
    if check(parent, stored.digest) == stored:
        shutil.rmtree(folder)
        return stored
    target = parent / short(stored.digest)
    parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        damaged = parent / f".{target.name}.{secrets.token_hex(4)}"
        target.rename(damaged)
        shutil.rmtree(damaged)
    folder.rename(target)
    _write_manifest(parent, stored)
    return stored


def copy(parent: Path, selected: list[files.SelectedFile], planned: str | None, temporary: Path, *, what: str) -> Stored:
    """Copy the selected files into the store by way of ``temporary`` (on the same file system). What is copied is digested:
    Invalid when that is not the ``planned`` digest of ``what`` (None: any will do)."""
    try:
        found = files.digest_files(_copied(selected, temporary))
    except OSError as error:
        raise Invalid(f"{error.filename or 'a file'} cannot be copied: {error.strerror}") from error
    if planned is not None and found.digest != planned:
        raise Invalid(
            f"{what} changed since the plan was made: {short(planned)} was planned, {short(found.digest)} is there",
            hint="plan again",
        )
    return keep(parent, temporary)


def check(parent: Path, digest: str) -> Stored | None:
    """What the folder of ``digest`` holds now: equal in digest when intact; None when there is no such folder."""
    folder = parent / short(digest)
    if not folder.is_dir():
        return None
    manifest = _read_manifest(parent, digest)
    try:
        selected = _content(folder)
        if manifest is not None:
            # Whoever imports Python modules from the folder leaves their compiled form in it.
            selected = [f for f in selected if f.name in manifest["looks"] or "__pycache__" not in f.name.split("/")]
        seen = _looks(selected)
        if manifest is not None and manifest["looks"] == seen and manifest["digest"] == digest:
            return Stored(digest, int(manifest["size"]), int(manifest["files"]))
        found = files.digest_files(selected)
    except OSError:
        return Stored("unreadable", 0, 0)
    stored = Stored(found.digest, found.size, found.files)
    if stored.digest == digest:
        _write_manifest(parent, stored)
    return stored


def renew(parent: Path, digest: str) -> None:
    """Take the folder of this digest for the one that came last."""
    with suppress(FileNotFoundError):
        os.utime(parent / f"{short(digest)}.json")


def drop(parent: Path, name: str) -> None:
    """Remove a folder of the store, by its short name, and its manifest."""
    shutil.rmtree(parent / name, ignore_errors=True)
    (parent / f"{name}.json").unlink(missing_ok=True)


def kept(parent: Path) -> list[str]:
    """The short names of all folders, the one that came last at the end."""
    if not parent.is_dir():
        return []
    found = [p for p in parent.iterdir() if p.is_dir() and len(p.name) == SHORT]
    return [p.name for p in sorted(found, key=lambda p: (_added(parent, p.name), p.name))]


def _added(parent: Path, name: str) -> float:
    try:
        return (parent / f"{name}.json").stat().st_mtime
    except OSError:
        return 0.0


def _content(folder: Path) -> list[files.SelectedFile]:
    # From the root, so that no folder of the content is taken for our own `.mlinfra`.
    return files.select(Path("/"), str(folder))


def _copied(selected: list[files.SelectedFile], target: Path) -> list[files.SelectedFile]:
    copies = []
    for file in selected:
        destination = target / file.name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.path, destination)
        copies.append(files.SelectedFile(file.name, destination))
    target.mkdir(parents=True, exist_ok=True)
    return copies


def _looks(selected: list[files.SelectedFile]) -> dict[str, list[int]]:
    return {f.name: [(s := f.path.stat()).st_size, s.st_mtime_ns] for f in selected}


def _read_manifest(parent: Path, digest: str) -> dict[str, Any] | None:
    try:
        found = json.loads((parent / f"{short(digest)}.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"digest", "size", "files", "looks"} <= found.keys() else None


def _write_manifest(parent: Path, stored: Stored) -> None:
    looks = _looks(_content(parent / short(stored.digest)))
    text = json.dumps({"digest": stored.digest, "size": stored.size, "files": stored.files, "looks": looks})
    write_atomically(parent / f"{short(stored.digest)}.json", text)
