"""What a run takes from the spec's folder: requirements and inputs, as the plan saw them. Does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.values import Value
from mlinfra.provider.planned import as_planned
from mlinfra.provider.runs.words import requirement_lines


def requirements(base: FilePath, given: Value) -> tuple[str, ...]:
    """A run's requirements as lines: as they are given, or those of the file ``{path, digest}``."""
    if not isinstance(given, Mapping):
        return tuple(given or ())
    path = str(given["path"])
    as_planned(base, path, str(given["digest"]), what=f"the file {path}", at=("requirements",))
    return requirement_lines((base / path).read_text(encoding="utf-8", errors="replace"))


def job_input(base: FilePath, name: str, given: Value) -> str:
    """The URI or path that a job's input ``name`` is read from."""
    if isinstance(given, str):
        return given
    found: Mapping[str, Any] = given
    as_planned(base, found["path"], found["digest"], what=f"the input {name} ({found['path']})", at=("inputs", name))
    return str(found["path"])
