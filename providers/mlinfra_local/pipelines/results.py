"""What the last complete run of a pipeline gave: one file that mlinfra reads, whoever started the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mlinfra.provider.runs.pipelines import Definition, StepRecord
from mlinfra_local.execution.scratch import write_atomically

FILE = "result.json"


@dataclass(frozen=True, slots=True)
class Result:
    """``fingerprint`` is the definition's, ``run`` Dagster's run id, ``steps`` what each step gave."""

    fingerprint: str
    run: str
    steps: Mapping[str, StepRecord]

    @property
    def outputs(self) -> dict[str, str]:
        """Name → ``local://`` URI over all steps; names are unique in a pipeline."""
        return {name: uri for record in self.steps.values() for name, uri in record["outputs"].items()}

    @property
    def metrics(self) -> dict[str, Any]:
        """Name → value over all steps; of a name used twice the later step's."""
        return {name: value for record in self.steps.values() for name, value in record["metrics"].items()}


def write(folder: Path, definition: Definition, run: str, steps: Mapping[str, StepRecord]) -> None:
    """Remember a complete run."""
    ordered = {step.name: steps[step.name] for step in definition.steps}
    write_atomically(folder / FILE, json.dumps({"fingerprint": definition.fingerprint, "run": run, "steps": ordered}))


def read(folder: Path) -> Result | None:
    """None when no run was ever complete."""
    try:
        found = json.loads((folder / FILE).read_text())
        return Result(str(found["fingerprint"]), str(found["run"]), cast(Mapping[str, StepRecord], found["steps"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
