"""Reading the state without a lock, and writing it under one.

``read`` = snapshot + journal. ``open_session`` takes the lock and returns a :class:`Session`, whose ``append`` is durable
when it returns: entries that arrive while a flush is under way go out together in the next one (group commit).
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, StateError
from mlinfra.model.state import State
from mlinfra.state.entries import Begin, Entry, Ledger
from mlinfra.state.lock import LEASE, Lease, Lock, lost
from mlinfra.state.sealing import Sealer, load_key
from mlinfra.state.segments import decode_segment, decode_snapshot, encode_segment, encode_snapshot, segment_key
from mlinfra.state.store import Store, StoreConflict

SNAPSHOT = "state.json"


@dataclass(slots=True)
class _Read:
    ledger: Ledger
    position: int
    version: str | None
    stale: list[str]
    """Segments that the snapshot contains already."""
    torn: str = ""
    """The last segment, when a crash of the machine tore it: it was never acknowledged."""


@dataclass(frozen=True, slots=True)
class Location:
    """A state: a store and the prefix of its keys (``project/environment/``)."""

    store: Store
    prefix: str

    def read(self) -> Ledger:
        """The recorded world with its open intents; needs no lock. StateError when it cannot be trusted."""
        return self._read().ledger

    def sealer(self, *, create: bool = False) -> Sealer:
        return Sealer(load_key(self.store, self.prefix, create=create))

    def holder(self) -> Lease | None:
        """Who is at work on it."""
        return Lock(self.store, self.prefix).holder()

    def unlock(self, lock_id: str) -> Lease:
        return Lock(self.store, self.prefix).force_release(lock_id)

    def _read(self) -> _Read:
        blob = self.store.get(self.prefix + SNAPSHOT)
        ledger, position = Ledger(State()), 0
        if blob is not None:
            snapshot = decode_snapshot(blob.data)
            ledger, position = Ledger(snapshot.state, snapshot.intents), snapshot.position
        stale: list[str] = []
        torn = ""
        keys = self.store.list(self.prefix + "journal/")
        for index, key in enumerate(keys):
            number = int(key.rpartition("/")[2])
            if number <= position and blob is not None:
                stale.append(key)
                continue
            segment_blob = self.store.get(key)
            if segment_blob is None:  # compacted by somebody since it was listed: start over
                return self._read()
            segment = decode_segment(segment_blob.data)
            if segment is None:
                if index == len(keys) - 1:
                    position, torn = number, key
                    break
                raise StateError(
                    Diagnostic(
                        code="state.damaged",
                        message=f"the journal segment {key} is damaged, and later ones exist",
                        hint="restore it from your backup; `mlinfra state doctor` shows what is affected",
                    )
                )
            for entry in segment.entries:
                ledger.apply(entry)
            position = number
        return _Read(ledger, position, blob.version if blob else None, stale, torn)


class Session:
    """The right to write one state, until ``close``. Use from one event loop."""

    def __init__(self, location: Location, lock: Lock, found: _Read, lease: Lease, taken_from: Lease | None) -> None:
        self._location = location
        self._lock = lock
        self._lock_guard = threading.Lock()
        self._position = found.position
        self._snapshot_version = found.version
        self._segments = list(found.stale)
        self._torn = found.torn
        self._pending: list[tuple[Sequence[Entry], asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        self._stop_renewing = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="mlinfra-lease", daemon=True)
        self.ledger = found.ledger
        self.lease = lease
        self.taken_from = taken_from
        self.sealer = location.sealer(create=True)
        self._dirty = False

    async def append(self, *entries: Entry) -> None:
        """Make the entries durable, in order, and apply them to the ledger. Raises when the lock or the store was lost."""
        if self._failed is not None:
            raise self._failed
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((entries, future))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        await asyncio.shield(future)

    async def _flush(self) -> None:
        try:
            while self._pending:
                await asyncio.sleep(0)  # let everything that is ready now join this flush
                batch, self._pending = self._pending, []
                entries = [e for group, _ in batch for e in group]
                try:
                    await asyncio.to_thread(self._write, entries)
                except BaseException as error:  # noqa: BLE001  (handed to every waiter)
                    self._failed = error
                    for _, future in [*batch, *self._pending]:
                        if not future.done():
                            future.set_exception(error)
                    self._pending = []
                    return
                for entry in entries:
                    self.ledger.apply(entry)
                for _, future in batch:
                    if not future.done():
                        future.set_result(None)
        finally:
            self._flusher = None

    def _write(self, entries: Sequence[Entry]) -> None:
        with self._lock_guard:
            self._lock.check()
        number = self._position + 1
        key = self._location.prefix + segment_key(number)
        try:
            self._location.store.put_if(key, encode_segment(number, self.lease.epoch, entries), None)
        except StoreConflict:
            raise lost(self.lease) from None
        except OSError as error:
            raise StateError(
                Diagnostic(
                    code="state.unwritable", message=f"the state cannot be written: {error}", hint="free space or fix permissions"
                )
            ) from error
        self._position = number
        self._segments.append(key)
        self._dirty = True

    def begin(self) -> None:
        """Write the first segment: whoever held the lock before us cannot write from here on."""
        if not self.ledger.lineage:
            self.ledger.lineage = uuid.uuid4().hex
        entry = Begin(operation=self.lease.operation, epoch=self.lease.epoch, owner=str(self.lease), time=time.time())
        if self._torn:  # later segments must not stand behind one that cannot be read
            self._location.store.delete(self._torn)
        self._write([entry])
        self.ledger.apply(entry)
        self._renewer.start()

    async def close(self) -> None:
        """Compact the journal into the snapshot and release the lock. Safe to call after a failure: then nothing is compacted."""
        while self._flusher is not None:
            await asyncio.sleep(0)
            flusher = self._flusher
            if flusher is not None:
                await asyncio.wait([flusher])
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._stop_renewing.set()
        if self._renewer.ident is not None:
            self._renewer.join()
        try:
            if self._dirty and self._failed is None:
                self._compact()
        finally:
            with self._lock_guard:
                self._lock.release()

    def _compact(self) -> None:
        state = self.ledger.freeze()
        data = encode_snapshot(state, self.ledger.intents.values(), self._position)
        try:
            self._location.store.put_if(self._location.prefix + SNAPSHOT, data, self._snapshot_version)
        except StoreConflict:
            raise lost(self.lease) from None
        for key in self._segments[:-1]:  # the last stays: a stale holder that stood there finds its number taken
            self._location.store.delete(key)

    def _renew(self) -> None:
        while not self._stop_renewing.wait(LEASE / 3):
            try:
                with self._lock_guard:
                    self._lock.renew()
            except MlinfraError as error:
                self._failed = error
                return
            except OSError:
                continue  # a hiccup of the store; the lease says when it is too late


def open_session(location: Location, operation: str, *, lock_timeout: float = 0.0) -> Session:
    """Take the lock (StateLocked names the holder), read the state under it, and fence off whoever held it before."""
    lock = Lock(location.store, location.prefix)
    lease, taken_from = lock.acquire(operation, lock_timeout)
    try:
        session = Session(location, lock, location._read(), lease, taken_from)
        session.begin()
    except BaseException:
        lock.release()
        raise
    return session
