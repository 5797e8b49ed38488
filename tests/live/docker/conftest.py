"""What the tests of this folder share for as long as they run: the second engine. An imported fixture would be one a file."""

from __future__ import annotations

from live.docker.own_engine import docker_api, engine  # noqa: F401  fixtures
