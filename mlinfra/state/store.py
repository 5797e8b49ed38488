"""What a place for state must do: a handful of methods over named blobs.

Every store gives the same promise: ``put_if`` is atomic and durable when it returns, and fails with
:class:`StoreConflict` when the blob is not at the expected version. All else (journal, lock, snapshot, history) is built on it.
The stores themselves are in :mod:`mlinfra.state.stores`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError


class StoreConflict(Exception):
    """The blob is not at the version that the writer expected."""


class StoreUnavailable(StateError):
    """The store cannot be reached, or does not let us in. ``message`` is one sentence for people, ``hint`` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(Diagnostic(code="state.store_unavailable", message=message, hint=hint))


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob's bytes and its opaque version."""

    data: bytes
    version: str


class Store(Protocol):
    """Keys are relative paths with ``/``. Methods block; the engine calls them in threads, several at a time.

    Any of them may raise StoreUnavailable. A write whose answer was lost is settled by the store itself: it reads the blob
    again, and StoreConflict means that somebody else wrote."""

    def get(self, key: str) -> Blob | None:
        """The blob, or None."""

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        """Write when the blob is at ``version`` (None: when there is none); the new version. StoreConflict otherwise."""

    def list(self, prefix: str) -> list[str]:
        """The keys that start with ``prefix``, sorted."""

    def delete(self, key: str) -> None:
        """Delete the blob; gone already is success."""


@runtime_checkable
class DeletesMany(Protocol):
    """A store that deletes many blobs with few requests."""

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete all of them; gone already is success."""


@runtime_checkable
class Closes(Protocol):
    """A store that holds something (a connection, a lock) until it is closed. It opens again when it is used again."""

    def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class Remote(Protocol):
    """A store whose requests cost time or money: the journal's flushes wait a moment for company."""

    @property
    def remote(self) -> bool: ...


@runtime_checkable
class Holds(Protocol):
    """A store with a lock of its own beneath ours (HTTP)."""

    def hold(self) -> None:
        """Keep that lock from the next write until ``close``, rather than for each write alone."""


@runtime_checkable
class BreaksLocks(Protocol):
    """A store whose own lock may be left behind by a dead holder (HTTP)."""

    def break_lock(self, lock_id: str) -> bool:
        """Free the lock ``lock_id`` whoever holds it, whatever it was held for; whether there was one to free."""


@runtime_checkable
class Guards(Protocol):
    """A store that keeps a blob for one client for some time by its own clock, and tells everybody when it no longer does (Azure's
    leases on blobs). While a guard stands, only its client can write or delete the blob."""

    def guard(self, key: str, version: str, seconds: float) -> bool:
        """Keep the blob, which is at ``version``, for us from now on for ``seconds`` at least; again when it is kept for us already.
        False when that cannot be: it is kept for another, it has changed, or the store keeps nothing for so long."""

    def unguard(self, key: str) -> None:
        """End our guard; none is success."""

    def guarded(self, key: str) -> bool:
        """Whether anybody's guard stands."""

    def break_guard(self, key: str, version: str) -> None:
        """End whoever's guard, if the blob is still at ``version``."""


@runtime_checkable
class Wraps(Protocol):
    """A store around another."""

    @property
    def inner(self) -> Store: ...


def guards_of(store: Store) -> Guards | None:
    """The store as one that guards, or the one that it is wrapped around; None when it does not."""
    found = store.inner if isinstance(store, Wraps) else store
    return found if isinstance(found, Guards) else None


def delete_all(store: Store, keys: Iterable[str]) -> None:
    """Delete blobs, together where the store can."""
    wanted = list(keys)
    if isinstance(store, DeletesMany):
        if wanted:
            store.delete_many(wanted)
        return
    for key in wanted:
        store.delete(key)


def close_store(store: Store) -> None:
    """Let go of what the store holds."""
    if isinstance(store, Closes):
        store.close()


def hold_store(store: Store) -> None:
    """Many writes follow, up to ``close_store``."""
    if isinstance(store, Holds):
        store.hold()


def is_remote(store: Store) -> bool:
    """Whether each request to the store is worth sparing."""
    return isinstance(store, Remote) and store.remote
