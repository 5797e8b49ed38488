"""What Dagster's ops do on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlinfra.provider.runs.pipelines import Definition, StepDefinition, StepRecord
from mlinfra_local.pipelines import results
from mlinfra_local.pipelines.steps import client_of, perform


class LocalRunner:
    """``file`` is where the definition was read from; results are remembered beside it."""

    def __init__(self, definition: Definition, file: Path) -> None:
        self._definition = definition
        self._file = file

    def perform(self, step: StepDefinition, upstream: Mapping[str, StepRecord], *, again: bool) -> StepRecord:
        return perform(client_of(self._definition, self._file), self._definition, step, upstream, again=again)

    def keep(self, run: str, steps: Mapping[str, StepRecord]) -> None:
        results.write(self._file.parent, self._definition, run, steps)
