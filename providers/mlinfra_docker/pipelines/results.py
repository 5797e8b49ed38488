"""What the last complete run of a pipeline gave: one file in its volume that mlinfra reads, whoever started the run. Blocks."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.provider.failures import NotFound
from mlinfra.provider.runs.dagster_pipelines import RESULT, Result, from_text, to_text
from mlinfra.provider.runs.pipelines import Definition, StepRecord
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.volumes import MOUNTED


def write(client: DockerClient, volume: str, definition: Definition, run: str, steps: Mapping[str, StepRecord]) -> None:
    """Remember a complete run."""
    volumes.helper(client, volume).write(f"{MOUNTED}/{volume}/{RESULT}", to_text(definition, run, steps).encode())


def read(client: DockerClient, volume: str) -> Result | None:
    """None when no run was ever complete."""
    try:
        return from_text(volumes.helper(client, volume).read(f"{MOUNTED}/{volume}/{RESULT}") or b"")
    except NotFound:
        return None
