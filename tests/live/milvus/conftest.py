"""A Milvus Lite server for every worker, the process that ``local.milvus`` runs; and a real Milvus where one is at hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.milvus.standalone import standalone_server
from live.milvus.world import World, clients, lite_server, unique

STANDALONE = "MLINFRA_TEST_MILVUS"
"""URI of a real Milvus server that tests may write to, like http://127.0.0.1:19530. Without it one is started where there is a Docker
engine."""


@pytest.fixture(scope="session", autouse=True)
def lite_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Started before any test's own fixtures, so that no test counts the server as a process that it left behind."""
    with lite_server(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture(scope="session")
def standalone_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if os.environ.get(STANDALONE):
        yield os.environ[STANDALONE]
        return
    with standalone_server(request.getfixturevalue("docker_api"), tmp_path_factory.mktemp("standalone")) as uri:
        yield uri


@pytest.fixture(params=["milvus-lite", "milvus"])
def any_engine(request: pytest.FixtureRequest) -> tuple[str, str]:
    """(engine, uri) of Lite, and of a real server."""
    if request.param == "milvus-lite":
        return request.param, request.getfixturevalue("lite_uri")
    return request.param, request.getfixturevalue("standalone_uri")


@pytest.fixture
def base() -> str:
    return unique("tickets")


def _world(uri: str, engine: str, folder: Path) -> Iterator[World]:
    made = World(uri, clients(folder), engine)
    yield made
    made.destroy()
    asyncio.run(made.client.close())


@pytest.fixture
def world(lite_uri: str, tmp_path: Path) -> Iterator[World]:
    yield from _world(lite_uri, "milvus-lite", tmp_path)


@pytest.fixture
def any_world(any_engine: tuple[str, str], tmp_path: Path) -> Iterator[World]:
    yield from _world(any_engine[1], any_engine[0], tmp_path)


def _application(uri: str) -> Iterator[Any]:
    from pymilvus import MilvusClient

    client = MilvusClient(uri=uri, dedicated=True)
    yield client
    client.close()


@pytest.fixture
def app(lite_uri: str) -> Iterator[Any]:
    """A user's application: a client of its own."""
    yield from _application(lite_uri)


@pytest.fixture
def any_app(any_engine: tuple[str, str]) -> Iterator[Any]:
    yield from _application(any_engine[1])
