"""One place for state of every kind, each behind its real server or one that enforces its contract, and what opens it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from live.servers.azurite import azurite
from live.servers.gcs import gcs_server
from live.servers.http_state import http_state
from live.servers.moto_aws import moto_server
from live.servers.postgresql import postgresql

from mlinfra.model.values import Map
from mlinfra.state.store import Store
from mlinfra.state.stores.opening import open_store

STORES = ("local", "s3", "gcs", "azure", "postgres", "http", "gitlab")


@dataclass(frozen=True, slots=True)
class Place:
    """A fresh, empty state. ``block`` is its ``state:`` block, ``environ`` what the command needs in its environment.

    ``upstream`` is the server's address, for a proxy in front of it; ``through`` gives the place behind another address."""

    name: str
    block: Mapping[str, Any]
    base: Path
    environ: Mapping[str, str]
    upstream: str
    through: Callable[[str], Place]
    server: Any = None

    def open(self, **settings: Any) -> Store:
        """A client of its own."""
        store = open_store(Map({**self.block, **settings}), self.base, self.environ)
        if self.name in ("http", "gitlab"):
            store._pacer._pace = 0.0  # type: ignore[attr-defined]
            store._patience = 60.0  # type: ignore[attr-defined]
        return store


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Any]]:
    """``servers("s3")``: started when first asked for, stopped at the end."""
    started: dict[str, Any] = {}
    starters: dict[str, Any] = {
        "s3": moto_server,
        "gcs": gcs_server,
        "azure": azurite,
        "postgres": postgresql,
        "http": http_state,
        "gitlab": lambda: http_state(gitlab=True),
    }
    with ExitStack() as stack:

        def server(name: str) -> Any:
            if name not in started:
                started[name] = stack.enter_context(starters[name]())
            return started[name]

        yield server


@pytest.fixture
def place_of(servers: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Place]:
    """``place_of("s3")``: a fresh place at that kind of store."""
    return lambda name: _place(name, servers, tmp_path, monkeypatch)


def _place(name: str, servers: Callable[[str], Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    fresh = f"t{uuid.uuid4().hex[:12]}"
    block: dict[str, Any]
    environ: dict[str, str] = {}
    upstream = ""
    if name == "local":
        block = {"store": "local", "path": fresh}
    elif name == "s3":
        import boto3

        upstream = servers("s3")
        boto3.client("s3", endpoint_url=upstream).create_bucket(Bucket=fresh)
        block = {"store": "s3", "bucket": fresh, "endpoint_url": upstream}
    elif name == "gcs":
        server = servers("gcs")
        upstream = server.address
        server.buckets[fresh] = {}
        file = folder / "account.json"
        server.write_credentials(file)
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        block = {"store": "gcs", "bucket": fresh, "endpoint_url": upstream}
    elif name == "azure":
        from azure.storage.blob import BlobServiceClient

        connection = servers("azure")
        upstream = connection.split("BlobEndpoint=")[1].rsplit("/", 1)[0]
        with BlobServiceClient.from_connection_string(connection) as service:
            service.create_container(fresh)
        environ = {"AZURE_STORAGE_CONNECTION_STRING": connection}
        block = {"store": "azure", "container": fresh}
    elif name == "postgres":
        block = {"store": "postgres", "conninfo": servers("postgres"), "table": fresh}
    else:
        server = servers(name)
        upstream = server.address
        environ = {"MLINFRA_HTTP_PASSWORD": server.password}
        block = server.settings(fresh)

    def through(address: str) -> Place:
        moved = {k: v.replace(upstream, address) if isinstance(v, str) else v for k, v in block.items()}
        return replace(place, block=moved, environ={k: v.replace(upstream, address) for k, v in environ.items()})

    place = Place(name, block, folder, environ, upstream, through)
    return replace(place, server=servers(name) if name != "local" else None)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, place_of: Callable[[str], Place]) -> Place:
    """Every store in turn."""
    return place_of(request.param)
