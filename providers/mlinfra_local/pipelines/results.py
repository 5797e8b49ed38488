"""What the last complete run of a pipeline gave: one file that mlinfra reads, whoever started the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlinfra.provider.runs.dagster_pipelines import RESULT, Result, from_text, to_text
from mlinfra.provider.runs.pipelines import Definition, StepRecord
from mlinfra_local.execution.scratch import write_atomically


def write(folder: Path, definition: Definition, run: str, steps: Mapping[str, StepRecord]) -> None:
    """Remember a complete run."""
    write_atomically(folder / RESULT, to_text(definition, run, steps))


def read(folder: Path) -> Result | None:
    """None when no run was ever complete."""
    try:
        return from_text((folder / RESULT).read_text())
    except (OSError, UnicodeDecodeError):
        return None
