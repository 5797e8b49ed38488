"""What the last complete run of a pipeline gave: one file in its volume that mlinfra reads, whoever started the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from mlinfra.provider.failures import NotFound
from mlinfra.provider.runs.pipelines import Definition, StepRecord
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.volumes import MOUNTED

FILE = "result.json"


@dataclass(frozen=True, slots=True)
class Result:
    """``fingerprint`` is the definition's, ``run`` Dagster's run id (``""``: mlinfra ran it), ``steps`` what each step gave."""

    fingerprint: str
    run: str
    steps: Mapping[str, StepRecord]

    @property
    def outputs(self) -> dict[str, str]:
        """Name → ``docker://`` URI over all steps; names are unique in a pipeline."""
        return {name: uri for record in self.steps.values() for name, uri in record["outputs"].items()}

    @property
    def metrics(self) -> dict[str, Any]:
        """Name → value over all steps; of a name used twice the later step's."""
        return {name: value for record in self.steps.values() for name, value in record["metrics"].items()}


def write(client: DockerClient, volume: str, definition: Definition, run: str, steps: Mapping[str, StepRecord]) -> None:
    """Remember a complete run. Blocks."""
    ordered = {step.name: steps[step.name] for step in definition.steps}
    content = json.dumps({"fingerprint": definition.fingerprint, "run": run, "steps": ordered})
    volumes.helper(client, volume).write(f"{MOUNTED}/{volume}/{FILE}", content.encode())


def read(client: DockerClient, volume: str) -> Result | None:
    """None when no run was ever complete. Blocks."""
    try:
        found = json.loads(volumes.helper(client, volume).read(f"{MOUNTED}/{volume}/{FILE}") or b"")
        return Result(str(found["fingerprint"]), str(found["run"]), cast(Mapping[str, StepRecord], found["steps"]))
    except (NotFound, ValueError, KeyError, TypeError):
        return None
