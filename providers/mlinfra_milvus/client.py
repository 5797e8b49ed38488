"""The connections of the Milvus provider. The only file that knows pymilvus; all calls are synchronous and may be made from
any thread.

Traps of the library and the servers, found by running them (pymilvus 3.0.2, Milvus Lite 3.2.2, Milvus 2.3.5):

- pymilvus logs every refused call with its traceback to stderr; its logger is silenced here.
- It retries an unreachable server 75 times with growing pauses: the port is tried before a client is made, and every call has
  a timeout.
- Names of aliases are accepted wherever a collection is named: ``drop_collection(alias)`` drops the collection behind it on
  Lite. :meth:`Server.describe` answers only for real names.
- Lite's ``drop_index`` drops *every* index of the collection when it is given the name that ``list_indexes`` tells.
- Lite's ``count(*)`` counts all partitions when there is no filter, whichever are named.
- Lite answers ``drop_collection`` of an absent collection with success, most other refusals with code 1.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from mlinfra.model.values import Map, Secret
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import (
    AlreadyExists,
    Denied,
    Failure,
    Invalid,
    NotFound,
    Quota,
    Throttled,
    Timeout,
    Transient,
)
from mlinfra_milvus.zilliz import is_zilliz

ZILLIZ_KEY = "ZILLIZ_API_KEY"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CALL = 60.0
"""Seconds for one call that changes or reads the catalogue."""
_LONG = 3600.0
"""Seconds for a call that loads or builds."""

_THEIRS: Mapping[str, str] = {"TRIE": "Trie"}
"""Index types that Milvus spells, and compares, in a way of its own."""
_OURS: Mapping[str, str] = {"Trie": "TRIE", "marisa-trie": "TRIE"}


class MilvusConfig(BaseModel):
    """``token`` is ``user:password`` or an API key, for servers that want one and collections that do not name it; the
    environment variable ``MILVUS_TOKEN`` does the same, and ``ZILLIZ_API_KEY`` for clusters of Zilliz Cloud."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr | None = None

    @field_validator("token", mode="before")
    @classmethod
    def _reveal(cls, value: object) -> object:
        return value.reveal() if isinstance(value, Secret) else value


class MilvusClients:
    """One :class:`Server` for every server and database that this command talks to."""

    def __init__(self, config: MilvusConfig, context: ProviderContext) -> None:
        self.project = context.project
        self.environment = context.environment
        self._token = config.token.get_secret_value() if config.token else os.environ.get("MILVUS_TOKEN", "")
        self._servers: dict[tuple[str, str], Server] = {}
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()

    def server(self, attributes: Mapping[str, Any]) -> Server:
        """The server that a resource's attributes name: ``uri``, ``database``, ``token``. State keeps no token: one that was
        seen in a desired resource is remembered for the resources that are only read."""
        uri = str(attributes.get("uri") or "")
        database = str(attributes.get("database") or "default")
        given = attributes.get("token")
        with self._lock:
            if isinstance(given, (Secret, str)):
                self._tokens[uri] = str(given.reveal() if isinstance(given, Secret) else given)
            token = self._tokens.get(uri) or self._token or (os.environ.get(ZILLIZ_KEY, "") if is_zilliz(uri) else "")
            server = self._servers.get((uri, database))
            if server is None or server.token != token:
                server = self._servers[uri, database] = Server(uri, database, token)
            return server

    async def close(self) -> None:
        for server in self._servers.values():
            server.close()


class Server:
    """One logical database of one Milvus server. Connects on first use. Methods raise only failures of the provider contract."""

    def __init__(self, uri: str, database: str, token: str) -> None:
        self.uri = uri
        self.database = database
        self.token = token
        self._client: Any = None
        self._lock = threading.Lock()
        self._version: str | None = None
        self.catalogue = threading.Lock()
        """Held while aliases are changed."""

    def answers(self) -> bool:
        """Whether something listens there; tried for three seconds."""
        address = urlsplit(self.uri)
        port = address.port or (443 if address.scheme == "https" else 19530)
        try:
            with socket.create_connection((address.hostname or "", port), timeout=3.0):
                return True
        except OSError:
            return False

    def is_down(self) -> bool:
        """Whether it is a supervised server of this machine that does not run just now, or has no address yet: that is drift of
        the server, which is brought up again before anything in it is touched."""
        return not self.uri or (urlsplit(self.uri).hostname in LOOPBACK and not self.answers())

    @property
    def is_lite(self) -> bool:
        return self.version.startswith("milvus_lite")

    @property
    def version(self) -> str:
        if self._version is None:
            with _mapped(self.uri):
                self._version = str(self._connected().get_server_version(timeout=_CALL))
        return self._version

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                with suppress(Exception):
                    self._client.close()
                self._client = None

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                if not self.uri:
                    raise Transient("the vector database has no address yet")
                if not self.answers():
                    raise Transient(f"nothing answers at {self.uri}")
                from pymilvus import MilvusClient

                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                self._client = MilvusClient(uri=self.uri, db_name=self.database, token=self.token, timeout=10.0, dedicated=True)
            return self._client

    def describe(self, name: str) -> Mapping[str, Any] | None:
        """pymilvus's description of the collection that is really called so, not of one with such an alias; None: there is none."""
        with _mapped(self.uri):
            try:
                found = self._connected().describe_collection(name, timeout=_CALL)
            except Exception as error:
                if isinstance(_failure(error, self.uri), NotFound):
                    return None
                raise
            return dict(found) if found["collection_name"] == name else None

    def indexes(self, name: str) -> dict[str, dict[str, Any]]:
        """Field → ``type``, ``metric``, ``params`` (whatever the server tells of them) and ``index`` (the index's own name)."""
        with _mapped(self.uri):
            client = self._connected()
            found = {}
            for index in client.list_indexes(name):
                told = client.describe_index(name, index, timeout=_CALL)
                if told:
                    metric = told.get("metric_type", "")
                    found[str(told["field_name"])] = {
                        "type": _OURS.get(str(told.get("index_type")), str(told.get("index_type", ""))),
                        "metric": "" if metric == "NONE" else str(metric),
                        "params": dict(told.get("params") or {}),
                        "index": str(told["index_name"]),
                    }
            return found

    def partitions(self, name: str) -> list[str]:
        with _mapped(self.uri):
            return [str(p) for p in self._connected().list_partitions(name, timeout=_CALL)]

    def is_loaded(self, name: str) -> bool:
        with _mapped(self.uri):
            return bool(self._connected().get_load_state(name, timeout=_CALL)["state"].name == "Loaded")

    def create(self, name: str, shape: Map, properties: Mapping[str, str], description: str) -> None:
        """Make a collection of this shape (fields, functions, dynamic_fields, shards, num_partitions, consistency)."""
        from mlinfra_milvus.schema import build_schema

        options: dict[str, Any] = {}
        if shape.get("shards"):
            options["num_shards"] = shape["shards"]
        if shape.get("num_partitions"):
            options["num_partitions"] = shape["num_partitions"]
        if shape.get("consistency"):
            options["consistency_level"] = str(shape["consistency"]).capitalize()
        with _mapped(self.uri):
            client = self._connected()
            schema = build_schema(shape, description)
            client.create_collection(name, schema=schema, properties=dict(properties), timeout=_CALL, **options)

    def drop(self, name: str) -> None:
        with _mapped(self.uri), _unless_gone(self.uri):
            self._connected().drop_collection(name, timeout=_CALL)

    def rename(self, name: str, to: str) -> None:
        with _mapped(self.uri):
            self._connected().rename_collection(name, to, timeout=_CALL)

    def load(self, name: str) -> None:
        with _mapped(self.uri):
            self._connected().load_collection(name, timeout=_LONG)

    def release(self, name: str) -> None:
        with _mapped(self.uri):
            self._connected().release_collection(name, timeout=_CALL)

    def create_index(self, name: str, field: str, index: Map) -> None:
        with _mapped(self.uri):
            client = self._connected()
            wanted = client.prepare_index_params()
            options = {"metric_type": index["metric"]} if index.get("metric") else {}
            wanted.add_index(
                field, index_type=_THEIRS.get(index["type"], index["type"]), params=dict(index.get("params") or {}), **options
            )
            client.create_index(name, wanted, timeout=_LONG)

    def drop_index(self, name: str, field: str, index: str) -> None:
        """Drop the index called ``index`` on ``field``. Lite knows it, for this call only, as ``FIELD_idx``."""
        with _mapped(self.uri), _unless_gone(self.uri):
            self._connected().drop_index(name, f"{field}_idx" if self.is_lite else index, timeout=_CALL)

    def create_partition(self, name: str, partition: str) -> None:
        with _mapped(self.uri):
            self._connected().create_partition(name, partition, timeout=_CALL)

    def drop_partition(self, name: str, partition: str) -> None:
        """On a server that is not Lite the partition must be released first."""
        with _mapped(self.uri), _unless_gone(self.uri):
            client = self._connected()
            if not self.is_lite:
                client.release_partitions(name, [partition], timeout=_CALL)
            client.drop_partition(name, partition, timeout=_CALL)

    def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        if properties:
            with _mapped(self.uri):
                self._connected().alter_collection_properties(name, dict(properties), timeout=_CALL)

    def count(self, name: str, *, loaded: bool) -> int:
        """Rows: counted exactly when it is loaded, else as the server's statistics say."""
        with _mapped(self.uri):
            client = self._connected()
            if loaded:
                found = client.query(name, filter="", output_fields=["count(*)"], timeout=_CALL, consistency_level="Strong")
                return int(found[0]["count(*)"])
            return int(client.get_collection_stats(name, timeout=_CALL)["row_count"])

    def rows(self, name: str, partition: str, batch: int) -> Iterator[list[dict[str, Any]]]:
        """All rows of a loaded collection's partition (``""``: of all), every field of them, in batches."""
        with _mapped(self.uri):
            iterator = self._connected().query_iterator(
                name,
                batch_size=batch,
                output_fields=["*"],
                partition_names=[partition] if partition else None,
                consistency_level="Strong",
            )
            try:
                while rows := iterator.next():
                    yield [dict(row) for row in rows]
            finally:
                iterator.close()

    def insert(self, name: str, rows: list[dict[str, Any]], partition: str) -> None:
        with _mapped(self.uri):
            self._connected().insert(name, rows, partition_name=partition, timeout=_LONG)

    def flush(self, name: str) -> None:
        with _mapped(self.uri):
            self._connected().flush(name, timeout=_LONG)

    def alias_target(self, alias: str) -> str | None:
        """The collection that the alias names; None when there is no such alias."""
        with _mapped(self.uri):
            try:
                found = self._connected().describe_alias(alias, timeout=_CALL)
            except Exception as error:
                if isinstance(_failure(error, self.uri), NotFound):
                    return None
                raise
            return str(found["collection_name"]) if found.get("collection_name") else None

    def create_alias(self, alias: str, collection: str) -> None:
        with _mapped(self.uri), self.catalogue:
            self._connected().create_alias(collection, alias, timeout=_CALL)

    def move_alias(self, alias: str, collection: str) -> None:
        """One atomic step of the server: a search through the alias meets the old collection or the new one."""
        with _mapped(self.uri), self.catalogue:
            self._connected().alter_alias(collection, alias, timeout=_CALL)

    def drop_alias(self, alias: str) -> None:
        with _mapped(self.uri), self.catalogue, _unless_gone(self.uri):
            self._connected().drop_alias(alias, timeout=_CALL)


@contextmanager
def _mapped(uri: str) -> Iterator[None]:
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        raise _failure(error, uri) from error


@contextmanager
def _unless_gone(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not isinstance(error if isinstance(error, Failure) else _failure(error, uri), NotFound):
            raise


_BY_CODE: Mapping[int, type[Failure]] = {
    4: NotFound,  # CollectionNotExists, of servers before 2.3
    100: NotFound,  # collection not found
    200: NotFound,  # partition not found
    700: NotFound,  # index not found
    800: NotFound,  # database not found
    1600: NotFound,  # alias not found
    3: Quota,  # memory limit exceeded
    7: Quota,  # disk quota
    8: Throttled,  # rate limited
    9: Quota,  # forced to deny
    1400: Denied,
    1401: Denied,  # not authenticated
    1402: Denied,  # privilege missing
}
"""Codes of ``pkg/util/merr`` of Milvus 2.3 and later. Lite uses 1, 6 and 100 in their place."""


def _failure(error: BaseException, uri: str) -> Failure:
    """Any exception of pymilvus or gRPC, as a failure of the contract."""
    code = getattr(error, "code", None)
    if callable(code):  # a grpc.RpcError
        status = str(getattr(code(), "name", ""))
        text = str(getattr(error, "details", lambda: "")() or error)
        kinds: dict[str, type[Failure]] = {
            "DEADLINE_EXCEEDED": Timeout,
            "UNAUTHENTICATED": Denied,
            "PERMISSION_DENIED": Denied,
            "RESOURCE_EXHAUSTED": Quota,
            "UNIMPLEMENTED": Invalid,
            "INVALID_ARGUMENT": Invalid,
        }
        return kinds.get(status, Transient)(f"{uri}: {text}")
    text = str(getattr(error, "message", "") or error)
    lower = text.lower()
    if type(error).__name__ == "ConnectionNotExistException" or "fail connecting" in lower or "server unavailable" in lower:
        return Transient(f"{uri} does not answer: {text}")
    if "auth check failure" in lower or "unauthenticated" in lower or "permission deny" in lower:
        return Denied(f"{uri}: {text}", hint="give the vector database its token, or set MILVUS_TOKEN")
    if "not found" in lower or "does not exist" in lower or "can't find" in lower:
        return NotFound(text)
    if "already exist" in lower or "conflicts with an existing" in lower:
        return AlreadyExists(text)
    if "not ready" in lower or "unavailable" in lower:
        return Transient(text)
    if isinstance(error, (OSError, EOFError)):
        return Transient(f"{uri}: {text}")
    return _BY_CODE.get(code if isinstance(code, int) else -1, Invalid)(text)
