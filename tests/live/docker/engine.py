"""The engine that tests use: import the fixture ``docker_api`` where it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def docker_api() -> Iterator[Any]:
    """The SDK's low-level client of the engine of this machine; skips where there is none."""
    docker = pytest.importorskip("docker", reason="the Docker SDK is not installed")
    try:
        api = docker.APIClient(version="auto", timeout=600)
        api.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine here: {error}")
    yield api
    api.close()
