"""State in PostgreSQL: one table, a row a blob, a version a write. The versions come from one sequence: none comes twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import errors, sql

from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable
from mlinfra.state.stores.settings import PostgresSettings
from mlinfra.state.stores.writing import Transient, write_settled

T = TypeVar("T")
_HOPELESS = (
    "password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry", "permission denied",
    "could not translate host name",
)  # fmt: skip


class PostgresStore:
    """One connection, used by one thread at a time, opened again when it breaks."""

    remote = True

    def __init__(self, settings: PostgresSettings) -> None:
        self._conninfo = settings.conninfo
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._name = settings.table
        self._table = sql.Identifier(*settings.table.split("."))
        self._guard = threading.RLock()
        self._connection: Any = None

    def get(self, key: str) -> Blob | None:
        def read(connection: Any) -> Blob | None:
            row = connection.execute(
                sql.SQL("SELECT data, version FROM {} WHERE key = %s").format(self._table), (self._prefix + key,)
            ).fetchone()
            return Blob(bytes(row[0]), str(row[1])) if row else None

        return self._reading(read, None)

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        def put(connection: Any) -> str:
            if version is None:
                query = "INSERT INTO {} (key, data) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING RETURNING version"
                values: tuple[object, ...] = (self._prefix + key, data)
            else:
                query = "UPDATE {} SET data = %s, version = DEFAULT WHERE key = %s AND version = %s RETURNING version"
                values = (data, self._prefix + key, int(version))
            row = connection.execute(sql.SQL(query).format(self._table), values).fetchone()
            if row is None:
                raise StoreConflict(key)
            return str(row[0])

        def with_table(connection: Any) -> str:
            try:
                return put(connection)
            except errors.UndefinedTable:
                self._create_table(connection)
                return put(connection)

        return write_settled(lambda: self._once(with_table), lambda: self.get(key), data)

    def list(self, prefix: str) -> list[str]:
        def read(connection: Any) -> list[str]:
            query = sql.SQL("SELECT key FROM {} WHERE starts_with(key, %s)").format(self._table)
            rows = connection.execute(query, (self._prefix + prefix,)).fetchall()
            return sorted(row[0][len(self._prefix) :] for row in rows)

        return self._reading(read, [])

    def delete(self, key: str) -> None:
        self.delete_many([key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """One statement."""
        named = [self._prefix + key for key in keys]

        def drop(connection: Any) -> None:
            connection.execute(sql.SQL("DELETE FROM {} WHERE key = ANY(%s)").format(self._table), (named,))

        self._reading(drop, None)

    def close(self) -> None:
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _reading(self, act: Callable[[Any], T], empty: T) -> T:
        """Something that may be done twice; ``empty`` while there is no table."""
        try:
            return self._once(act)
        except errors.UndefinedTable:
            return empty
        except Transient:
            try:
                return self._once(act)
            except Transient as transient:
                raise transient.error from transient.__cause__

    def _once(self, act: Callable[[Any], T]) -> T:
        with self._guard:
            try:
                if self._connection is None:
                    # Server-side prepared statements do not survive a transaction-pooling pgbouncer.
                    self._connection = psycopg.connect(
                        self._conninfo, autocommit=True, connect_timeout=10, prepare_threshold=None, application_name="mlinfra",
                        client_encoding="utf8",
                    )  # fmt: skip
                    self._connection.execute("SET synchronous_commit = on")  # durable when acknowledged, whatever the default
                return act(self._connection)
            except errors.UndefinedTable:
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self.close()
                unavailable = self._unavailable(error)
                if any(words in str(error) for words in _HOPELESS):
                    raise unavailable from error
                raise Transient(unavailable) from error
            except psycopg.Error as error:
                raise self._unavailable(error) from error

    def _create_table(self, connection: Any) -> None:
        create = 'CREATE TABLE IF NOT EXISTS {} (key text COLLATE "C" PRIMARY KEY, data bytea NOT NULL, version bigserial)'
        with suppress(errors.UniqueViolation, errors.DuplicateTable):  # two made it at once; the other one was first
            connection.execute(sql.SQL(create).format(self._table))

    def _unavailable(self, error: psycopg.Error) -> StoreUnavailable:
        said = str(error).strip().partition("\n")[0][:300]
        if isinstance(error, errors.InsufficientPrivilege):
            return StoreUnavailable(
                f"the state in PostgreSQL refuses access: {said}",
                f"the role needs SELECT, INSERT, UPDATE, DELETE on {self._name}, and CREATE on its schema the first time",
            )
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            return StoreUnavailable(
                f"the state in PostgreSQL cannot be reached: {said}", "check state.conninfo, the PG* variables and ~/.pgpass"
            )
        return StoreUnavailable(f"the state in PostgreSQL cannot be used: {said}")
