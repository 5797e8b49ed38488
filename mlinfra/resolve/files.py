"""Reads the local files and folders that the components name, before lowering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlinfra.kinds import catalog
from mlinfra.model.component import Component
from mlinfra.model.errors import SpecError
from mlinfra.provider import files
from mlinfra.provider.contract import FileDigest, span_at
from mlinfra.resolve.problems import Problems
from mlinfra.resolve.resolved import Resolved

if TYPE_CHECKING:
    from mlinfra.kinds.base import LocalPath

Digests = Mapping[tuple[str, str], FileDigest]


def read_digests(resolved: Resolved, *, recorded: Digests | None = None) -> dict[tuple[str, str], FileDigest]:
    """(path as written, mode) → digest of every local path that is known at plan time.

    ``recorded`` digests (of a saved plan) are taken as they are. SpecError with every path that is missing or unreadable."""
    problems = Problems(resolved.files)
    found: dict[tuple[str, str], FileDigest] = {}
    failed: set[tuple[str, str]] = set()
    excluded: tuple[str, ...] | None = None
    for component in resolved.components:
        for local in local_paths(component):
            key = (local.path, local.mode)
            if key in found:
                continue
            if recorded is not None and key in recorded:
                found[key] = recorded[key]
                continue
            if excluded is None:
                excluded = excluded_paths(resolved)
            try:
                if key not in failed:
                    found[key] = files.digest(resolved.spec.root, local.path, local.mode, excluded)
                    continue
                reason = "cannot be read"
            except (OSError, ValueError) as error:
                failed.add(key)
                reason = _reason(error, local.path)
            problems.add(
                "spec.missing_file" if "there is no" in reason else "spec.unreadable_file",
                f"{component.name}: {reason}",
                span_at(component, local.field),
                "paths are relative to the folder of the spec",
                address=component.name,
            )
    if problems.found:
        raise SpecError(problems.found)
    return found


def excluded_paths(resolved: Resolved) -> tuple[str, ...]:
    """What never counts as code: the spec's own files, and what is declared as data by a component that runs no code."""
    found = dict.fromkeys(resolved.spec_files)
    for component in resolved.components:
        paths = local_paths(component)
        if not any(p.mode == "code" for p in paths):
            found.update(dict.fromkeys(p.path for p in paths if p.path.strip("./")))
    return tuple(found)


def local_paths(component: Component) -> tuple[LocalPath, ...]:
    """The local paths of a component; none when its properties are not right."""
    if component.model is None or component.existing is not None or not catalog.reads_files(component.kind):
        return ()
    return tuple(component.model.local_paths())


def _reason(error: OSError | ValueError, path: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file or folder {path!r}" if "link" not in str(error) else f"a link in {path!r} points to nothing"
    return f"{path!r} cannot be read: {getattr(error, 'strerror', None) or error}"
