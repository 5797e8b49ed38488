"""Expectations about what lies in volumes: the tables are fetched only where no metric answers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlinfra.kinds.expectations import parse_expectation
from mlinfra.provider.failures import NotFound
from mlinfra.provider.progress import say
from mlinfra.provider.runs.expectations import broken
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.volumes import MOUNTED


def unkept(client: DockerClient, expected: Mapping[str, Any], metrics: Mapping[str, Any], uris: Sequence[str]) -> list[str]:
    """A sentence for every expectation that does not hold; ``uris`` say where its tables may be. Blocks."""
    if not expected:
        return []
    if not any(_needs_table(name, condition, metrics) for name, condition in expected.items()):
        return broken(expected, metrics, [])
    with tempfile.TemporaryDirectory(prefix="mlinfra-") as folder:
        places = []
        for number, uri in enumerate(u for u in uris if u.startswith(f"{volumes.SCHEME}://")):
            volume, path = volumes.place(uri)
            target = Path(folder) / str(number) / (path.rpartition("/")[2] or "all")
            target.parent.mkdir()
            say("reading what was written, to hold it against what is expected")
            try:
                volumes.helper(client, volume).fetch(f"{MOUNTED}/{volume}/{path}", target)
            except NotFound:
                continue
            places.append(target)
        return broken(expected, metrics, places)


def _needs_table(name: str, condition: Any, metrics: Mapping[str, Any]) -> bool:
    try:
        expectation = parse_expectation(name, condition)
    except ValueError:
        return False
    return expectation.needs_table and expectation.text not in metrics
