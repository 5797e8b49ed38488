"""Where the tests' images go: a registry beside moto, whose ECR gives repositories and tokens but keeps no images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from live.servers.locked_registry import LockedRegistry


@contextmanager
def registry(folder: Path, **login: str) -> Iterator[str | None]:
    """``HOST:PORT`` of a registry that takes this ``login``; None where there is no Docker engine to push from, or no registry's program."""
    import docker

    try:
        docker.from_env().close()
    except docker.errors.DockerException:
        yield None
        return
    if shutil.which("docker-registry") is None:
        yield None
        return
    served = LockedRegistry(folder / "registry", **login)
    try:
        yield served.host
    finally:
        served.stop()
