"""Dagster's code location inside a container of the stack: the steps that it starts are containers on the same engine."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.provider import files
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.runs.dagster_job import build_definitions
from mlinfra.provider.runs.pipelines import VARIABLE, Definition, StepDefinition, StepRecord, from_json
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pipelines import results
from mlinfra_docker.pipelines.dagster_containers import TOLD
from mlinfra_docker.pipelines.steps import Place, perform
from mlinfra_docker.settings import DockerSettings
from mlinfra_docker.volume_store import short


class DockerRunner:
    """What Dagster's ops do here. ``told`` is what mlinfra wrote down when it started this container."""

    def __init__(self, definition: Definition, told: Mapping[str, Any], folder: Path) -> None:
        self._told = told
        code = folder / "code" / short(definition.code)
        selected = files.select(Path("/"), str(code)) if code.is_dir() else []
        self._place = Place(definition, address=told["address"], volume=told["volume"], image=told["image"], code=selected)

    def perform(self, step: StepDefinition, upstream: Mapping[str, StepRecord], *, again: bool) -> StepRecord:
        return asyncio.run(self._perform(step, upstream, again))

    def keep(self, run: str, steps: Mapping[str, StepRecord]) -> None:
        asyncio.run(self._keep(run, steps))

    async def _perform(self, step: StepDefinition, upstream: Mapping[str, StepRecord], again: bool) -> StepRecord:
        client = await self._connect()
        try:
            return await perform(client, self._place, step, upstream, again=again)
        finally:
            await client.close()

    async def _keep(self, run: str, steps: Mapping[str, StepRecord]) -> None:
        client = await self._connect()
        try:
            await client.run(results.write, client, self._place.volume, self._place.definition, run, steps)
        finally:
            await client.close()

    async def _connect(self) -> DockerClient:
        told = self._told
        context = ProviderContext(
            project=told["project"], environment=told["environment"], base=Path("/"), data=Path("/nonexistent")
        )
        client = DockerClient(DockerSettings.model_validate(told["settings"]), context)
        await client.open()
        return client


_file = Path(os.environ[VARIABLE])
_definition = from_json(_file.read_text())
defs = build_definitions(_definition, DockerRunner(_definition, json.loads(os.environ[TOLD]), _file.parent))
