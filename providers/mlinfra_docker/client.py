"""The connection to one Docker Engine: the only file that touches the SDK.

Calls are those of the Engine API (https://docs.docker.com/reference/api/engine/), by path; the SDK brings the transport (Unix
socket, TCP with TLS, SSH), the version negotiation and the registries' credentials. They block, and are made in threads.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.docker_engine.connection import Connection, default_options
from mlinfra.provider.docker_engine.tunnel import SOCKET
from mlinfra.provider.failures import Conflict, Failure, Invalid, NotFound, Transient
from mlinfra_docker import labels
from mlinfra_docker.naming import stack_name
from mlinfra_docker.refusals import failed, refused
from mlinfra_docker.settings import DockerSettings, image

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
_LONG = 3600.0
_OLDEST_API = (1, 40)
"""Device requests (GPUs) came with this version of the Engine API (Docker 19.03)."""


class DockerClient:
    """``engine`` is what people call the engine: its address. ``bind`` and ``reach`` are the interface that ports are published
    on, and the name under which they are reached from here; ``network`` is the one network that all of a stack's own containers
    share, made when the first of them is and gone with the last."""

    def __init__(self, config: DockerSettings, context: ProviderContext) -> None:
        self.config = config
        self.base = context.base
        self.data = context.data
        self.excluded = context.excluded
        self.project = context.project
        self.environment = context.environment
        self.network = stack_name(config.prefix, context.project, context.environment)
        self.engine = ""
        self.bind = self.reach = LOOPBACK
        self.info: Mapping[str, Any] = {}
        self.closing: list[Callable[[], None]] = []
        """What to do before the connection ends. ``helpers`` are those of :mod:`mlinfra_docker.volumes`."""
        self.helpers: dict[tuple[str, ...], Any] = {}
        self.helpers_lock = threading.Lock()
        self._api: Any = None
        self._connection: Connection | None = None
        self._shared = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}

    # connection

    async def open(self) -> None:
        """Connect. Failure, in one sentence, when no engine answers."""
        await asyncio.to_thread(self._connect)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _connect(self) -> None:
        try:
            from docker.errors import DockerException
        except ImportError as error:
            raise Invalid(f"the Docker SDK cannot be loaded: {error}", hint="pip install 'mlinfra-iac[docker]'") from error
        try:
            self._connection = Connection(self._options())
            self.engine = self._connection.address
            remote = urlsplit(self.engine)
            self._connection.open(timeout=60, max_pool_size=64)
            self._api = self._connection.api
            self.info = self.get("/info")
        except (Failure, DockerException, OSError, ValueError) as error:
            absent = self._absent(error)
            self._disconnect()
            raise absent from None
        version = tuple(int(part) for part in self._api.api_version.split("."))
        if version < _OLDEST_API:
            raise Invalid(
                f"the Docker engine at {self.engine} is too old: it speaks API {self._api.api_version}",
                hint="mlinfra needs Docker 19.03 or newer",
            )
        if remote.scheme in ("tcp", "ssh", "http", "https") and remote.hostname not in (LOOPBACK, "localhost", "::1"):
            tunnel = self._connection.tunnel
            self.bind, self.reach = "0.0.0.0", tunnel.reached_at() if tunnel is not None else str(remote.hostname)
        self.bind = self.config.publish.bind or self.bind
        self.reach = self.config.publish.host or self.reach

    def _options(self) -> dict[str, Any]:
        from docker import tls as docker_tls

        if self.config.host is None:
            return default_options()
        tls = self.config.tls
        if tls is None:
            return {"base_url": self.config.host}
        ca, cert, key = (self._pem(name, getattr(tls, name)) for name in ("ca", "cert", "key"))
        secured = docker_tls.TLSConfig(client_cert=(cert, key) if cert else None, ca_cert=ca, verify=tls.verify)
        return {"base_url": self.config.host, "tls": secured}

    def _pem(self, name: str, path: str | None) -> str | None:
        if path is None:
            return None
        file = self.base / Path(path).expanduser()
        if not file.is_file():
            raise Invalid(f"there is no file {file}", hint=f"providers: {{docker: {{tls: {{{name}: {path}}}}}}} names it")
        return str(file)

    def _absent(self, error: Exception) -> Failure:
        reason, hint = self._explained(error)
        where = self.engine or self.config.host or "its default address"
        if not hint and "ermission denied" in reason:
            hint = "your user may not use the socket: add it to the group docker, or run the engine rootless"
        elif not hint and where.startswith("unix://"):
            hint = "start it (systemctl start docker, or Docker Desktop)"
        hint = hint or "is that address right, and the engine up?"
        if "providers:" not in hint:
            hint += "; providers: {docker: {host: …}} names another"
        return Failure(f"no Docker engine answers at {where}: {reason}", hint=hint)

    def _explained(self, error: Exception) -> tuple[str, str]:
        if self._connection is not None:
            return self._connection.explained(error)
        return (error.message, error.hint) if isinstance(error, Failure) else (str(error), "")

    def _close(self) -> None:
        if self._api is not None:
            for last in reversed(self.closing):
                with suppress(Failure):
                    last()
            with suppress(Failure):
                self._drop_network()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()

    @property
    def socket(self) -> str:
        """The path of the engine's socket on its own machine."""
        parts = urlsplit(self.engine)
        return parts.path if parts.scheme in ("unix", "ssh") and parts.path.strip("/") else SOCKET

    def image(self, part: str) -> str:
        """The image of a part: a key of :data:`mlinfra_docker.settings.IMAGES`."""
        return image(self.config.model_dump(), part)

    def lock(self, name: str) -> threading.RLock:
        """A lock of this process for what goes by this name."""
        with self._shared:
            return self._locks.setdefault(name, threading.RLock())

    # calls of the Engine API

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """``function(*args)``, which calls the engine, in a thread."""
        return await asyncio.to_thread(function, *args)

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.call("POST", path, body, **query)

    def delete(self, path: str, **query: Any) -> None:
        """Gone already is success."""
        with suppress(NotFound):
            self.call("DELETE", path, **query)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout: float = 120,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Any:
        """One call; its JSON answer, or None where there is none. ``query`` values that are no text are sent as JSON.

        Blocks up to ``timeout`` seconds. Failures as :func:`mapped` tells."""
        with self.mapped():
            params = {k: _text(v) for k, v in query.items()}
            response = self._api.request(
                method, self._url(path), params=params, json=body, headers=dict(headers or {}), timeout=timeout
            )
            self._api._raise_for_status(response)
            return response.json() if response.content else None

    def optional(self, path: str, **query: Any) -> Any:
        """The answer to a GET, None when there is no such thing."""
        try:
            return self.get(path, **query)
        except NotFound:
            return None

    def stream(
        self, method: str, path: str, *, data: Any = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Iterator[Any]:
        """The JSON messages of a long answer, as they come (pull, build, load). A message of an error raises Invalid."""
        with self.mapped():
            response = self._api.request(
                method,
                self._url(path),
                params={k: _text(v) for k, v in query.items()},
                data=data,
                headers=dict(headers or {}),
                timeout=_LONG,
                stream=True,
            )
            self._api._raise_for_status(response)
            for message in self._api._stream_helper(response, decode=True):
                if "error" in message:
                    raise refused(str(message["error"]))
                yield message

    def put_archive(self, container: str, path: str, data: bytes | BinaryIO | Iterator[bytes]) -> None:
        """Unpack a tar below ``path`` of a container, running or not; volumes that are mounted there are written too."""
        with self.mapped():
            url = self._url(f"/containers/{container}/archive")
            self._api._raise_for_status(self._api.put(url, params={"path": path}, data=data, timeout=_LONG))

    @contextmanager
    def get_archive(self, container: str, path: str) -> Iterator[Iterator[bytes]]:
        """The tar of a file or folder of a container, in chunks. NotFound when there is none."""
        url = self._url(f"/containers/{container}/archive")
        with self.mapped():
            response = self._api.get(url, params={"path": path}, timeout=_LONG, stream=True)
            self._api._raise_for_status(response)
        with response:
            yield self._chunks(response)

    def _chunks(self, response: Any) -> Iterator[bytes]:
        with self.mapped():
            yield from response.iter_content(1 << 20)

    def log(self, container: str, *, tail: int | str = "all", follow: bool = False) -> Iterator[bytes]:
        """What a container wrote to both streams, in chunks; with ``follow`` until it ends."""
        with self.mapped():
            chunks = self._api.logs(container, stdout=True, stderr=True, stream=True, follow=follow, tail=tail)
            yield from chunks

    def execute(
        self, container: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, bytes]:
        """Run a command inside a running container: exit code, what it wrote to stdout, and to stderr."""
        with self.mapped():
            made = self._api.exec_create(container, command, environment=dict(environment or {}))
            # Not the SDK's exec_start: it asks for an upgraded connection, and loses what came in one piece with its headers.
            url = self._url(f"/exec/{made['Id']}/start")
            response = self._api.post(url, json={"Detach": False, "Tty": False}, stream=True, timeout=_LONG)
            self._api._raise_for_status(response)
            out, err = _demultiplexed(response.raw.read())
            code = self._api.exec_inspect(made["Id"])["ExitCode"]
            return int(code or 0), out, err

    def wait(self, container: str) -> None:
        """Block until a container does not run."""
        with suppress(NotFound):
            self.call("POST", f"/containers/{container}/wait", timeout=_LONG)

    def hold(self, container: str) -> Any:
        """Attach to a container's stdin: it is closed when we are gone, however we ended."""
        with self.mapped():
            return self._api.attach_socket(container, params={"stdin": 1, "stream": 1})

    def registry_headers(self, reference: str) -> dict[str, str]:
        """The credentials for a registry, from Docker's own configuration, as the Engine API takes them."""
        from docker import auth
        from docker.errors import DockerException

        with suppress(DockerException):
            registry, _ = auth.resolve_repository_name(reference)
            header = auth.get_config_header(self._api, registry)
            if header:
                return {"X-Registry-Auth": header.decode() if isinstance(header, bytes) else header}
        return {}

    def _url(self, path: str) -> str:
        return f"{self._api.base_url}/v{self._api.api_version}{quote(path)}"

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """The SDK's errors as failures. An engine that is gone is Transient: it may come back while we try again."""
        import requests
        from docker.errors import APIError, DockerException
        from urllib3.exceptions import HTTPError

        if self._connection is not None:
            self._connection.ready()
        try:
            yield
        except APIError as error:
            raise failed(error.status_code or 0, str(error.explanation or error)) from error
        except (requests.RequestException, HTTPError, DockerException, OSError, json.JSONDecodeError) as error:
            reason, hint = self._explained(error)
            raise Transient(
                f"the Docker engine at {self.engine} does not answer: {reason}", hint=hint or "is it running? docker info"
            ) from error

    # the stack's own network

    def ensure_network(self) -> None:
        """Make the stack's network, unless it is there."""
        with self._shared:
            found = self._networks()
            if not found:
                body = {"Name": self.network, "CheckDuplicate": True, "Labels": self.shared_labels()}
                with suppress(Conflict):  # somebody was faster
                    self.post("/networks/create", body)
                found = self._networks()
            # the engine looks for a double before it makes one, not while: of two that were made at once, all keep the older
            for double in found[1:]:
                if double["Labels"] == self.shared_labels():
                    with suppress(Failure):
                        self.delete(f"/networks/{double['Id']}")

    def _networks(self) -> list[dict[str, Any]]:
        """Those of the stack's name, the oldest first."""
        found = self.get("/networks", filters={"name": [self.network]})  # of names that contain it
        return sorted((n for n in found if n["Name"] == self.network), key=lambda n: (n["Created"], n["Id"]))

    def shared_labels(self) -> dict[str, str]:
        """The labels of what belongs to the whole stack."""
        return {labels.PROJECT: self.project, labels.ENVIRONMENT: self.environment}

    def _drop_network(self) -> None:
        """Take the network away when nothing of the stack is left on the engine."""
        for found in self._networks():
            used = self.get("/containers/json", all="true", filters={"network": [found["Id"]]})  # stopped ones count
            if not used and found["Labels"] == self.shared_labels():
                self.delete(f"/networks/{found['Id']}")


def _demultiplexed(stream: bytes) -> tuple[bytes, bytes]:
    """Stdout and stderr of an attached stream: frames of a header (stream, three zeros, length) and content.

    Source: Engine API, "Attach to a container", stream format."""
    parts: dict[int, list[bytes]] = {1: [], 2: []}
    position = 0
    while position + 8 <= len(stream):
        length = int.from_bytes(stream[position + 4 : position + 8], "big")
        parts.setdefault(stream[position], []).append(stream[position + 8 : position + 8 + length])
        position += 8 + length
    return b"".join(parts[1]), b"".join(parts[2])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
