"""Writing the state under a lock.

``open_session`` takes the lock and returns a :class:`Session`, whose ``append`` is durable when it returns: entries that arrive
while a flush is under way go out together in the next one (group commit). Entries become durable in the order in which they are
given, so that nobody has to wait for what he has given to ``post`` before he gives the next. Why a holder that lost its lock cannot
write: docs/decisions/0018.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, StateError
from mlinfra.model.loops import asyncio
from mlinfra.model.state import State
from mlinfra.state.entries import Begin, Entry, Ledger
from mlinfra.state.journal import REQUEST, SNAPSHOT, Reading, read_journal
from mlinfra.state.lock import LEASE, SKEW, Lease, Lock, lost
from mlinfra.state.sealing import Sealer, open_sealer
from mlinfra.state.segments import Fence, decode_snapshot, encode_segment, encode_snapshot, segment_key
from mlinfra.state.store import Store, StoreConflict, StoreUnavailable, close_store, delete_all, hold_store, is_remote

if TYPE_CHECKING:
    from mlinfra.state.encryption.sources import Encryption

KEEP = 100
"""How many applies the history keeps, unless the state's settings say otherwise."""

HEAVY = 2 * 1024 * 1024
FOLDS = 4
"""A journal that weighs more bytes (see ``journal.REQUEST``) than HEAVY, and FOLDS times as many as its snapshot has, is folded in: what is
written over and over is a third of what there is to write at most, and nobody reads more than five times the state."""

TURNS = 4
"""Turns of the event loop for which a flush waits: so many from the end of a step to the intent of one that needs it."""

COMPANY = 20
PATIENCE = 2.0
"""A flush to a remote store waits for so many appends, or half of the operations under way if those are fewer, and no longer
than so many seconds: a wide apply costs a request per ten operations, and one that has little under way never waits."""


@dataclass(frozen=True, slots=True)
class Location:
    """A state: a store and the prefix of its keys (``project/environment/``). ``lease`` in seconds; ``keep`` applies of history."""

    store: Store
    prefix: str
    lease: float = LEASE
    keep: int = KEEP
    encryption: Encryption | None = None

    def read(self) -> Ledger:
        """The recorded world with its open intents; needs no lock. StateError when it cannot be trusted."""
        return self.reading().ledger

    def reading(self) -> Reading:
        """The same, with the state of the journal itself."""
        return read_journal(self.store, self.prefix)

    def sealer(self, *, create: bool = False) -> Sealer:
        """What turns secrets into what may be written here. StateError when the state's key is missing or another one."""
        return open_sealer(self.store, self.prefix, self.encryption, create=create)

    def lock(self) -> Lock:
        return Lock(self.store, self.prefix, lease=self.lease)

    def holder(self) -> Lease | None:
        """Who is at work on it."""
        return self.lock().holder()

    def unlock(self, lock_id: str) -> Lease:
        return self.lock().force_release(lock_id)

    def close(self) -> None:
        """Let go of what the store holds."""
        close_store(self.store)


class Session:
    """The right to write one state, until ``close``. Use from one event loop."""

    def __init__(self, location: Location, lock: Lock, found: Reading, lease: Lease, taken_from: Lease | None) -> None:
        self._location = location
        self._store = location.store
        self._lock = lock
        self._lock_guard = threading.Lock()
        self._position = found.position
        self._snapshot_version = found.version
        self._snapshot_size = found.snapshot_size
        self._weight = found.weight
        self._fences = list(found.fences)
        self._garbage = [*found.stale, *found.later]
        self._found = found
        self._pending: list[tuple[Sequence[Entry], asyncio.Future[None]]] = []
        self._posted: asyncio.Future[None] | None = None
        self._latest: asyncio.Future[None] | None = None
        self._flusher: asyncio.Task[None] | None = None
        self._gathered = asyncio.Event()
        self._wanted = 0
        self._failed: BaseException | None = None
        self._stop_renewing = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="mlinfra-lease", daemon=True)
        self._dirty = False
        self.ledger = found.ledger
        self.lease = lease
        self.taken_from = taken_from
        self.sealer = location.sealer(create=True)
        self.serial_before = found.ledger.serial
        """The serial that the session found."""

    def check(self) -> None:
        """Raises when nothing must be sent to the world any more, because nobody could record it. Asks nobody."""
        if self._failed is not None:
            raise self._failed
        self._lock.check()

    async def append(self, *entries: Entry) -> None:
        """Make the entries durable, in order, and apply them to the ledger. Raises when the lock or the store was lost."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(entries, future)
        await future  # who is cancelled here takes only the future along: the entries are written all the same

    def post(self, *entries: Entry) -> asyncio.Future[None]:
        """The same without waiting: the future is done when they are durable and in the ledger, all that was posted before with them.
        It is others' as well, so nobody may cancel it."""
        if self._posted is None:
            self._posted = self._latest = asyncio.get_running_loop().create_future()
        self._enqueue(entries, self._posted)
        return self._posted

    def _enqueue(self, entries: Sequence[Entry], future: asyncio.Future[None]) -> None:
        if self._failed is not None:
            raise self._failed
        self._pending.append((entries, future))
        if len(self._pending) >= self._wanted:
            self._gathered.set()
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())

    async def settled(self) -> None:
        """Wait until all that was posted is durable. Raises when it cannot be, because the lock or the store was lost."""
        if self._latest is not None:
            await asyncio.shield(self._latest)

    async def restore(self, state: State) -> None:
        """Put ``state`` in the place of everything that is recorded; open intents are kept. One atomic write."""
        ledger = Ledger(state, self.ledger.intents)
        self.ledger = ledger
        try:
            await asyncio.to_thread(self._compact)
        except BaseException as error:
            self._failed = error
            raise

    async def _flush(self) -> None:
        try:
            while self._pending:
                await self._company()
                batch, self._pending, self._posted = self._pending, [], None
                entries = [e for group, _ in batch for e in group]
                try:
                    number = self._position + 1
                    await asyncio.to_thread(self._write, number, encode_segment(number, self.lease.epoch, entries))
                    for entry in entries:
                        self.ledger.apply(entry)
                    for _, future in batch:
                        if not future.done():
                            future.set_result(None)
                    if self._weight > max(HEAVY, FOLDS * self._snapshot_size):
                        await asyncio.to_thread(self._compact)
                except BaseException as error:  # noqa: BLE001  (handed to every waiter)
                    self._failed = error
                    for _, future in [*batch, *self._pending]:
                        if not future.done():
                            future.set_exception(error)
                            future.exception()  # nobody has to ask for it: whatever comes next raises it again
                    self._pending, self._posted = [], None
                    return
        finally:
            self._flusher = None

    async def _company(self) -> None:
        """Let what is ready now join the flush, and the intent of a step that waits for what is about to be recorded."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if len(self._pending) >= COMPANY:
                break
        wanted = min(COMPANY, len(self.ledger.intents) // 2) if is_remote(self._store) else 0
        if len(self._pending) < wanted:
            self._wanted = wanted
            self._gathered.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gathered.wait(), PATIENCE)

    def _write(self, number: int, data: bytes) -> None:
        self._lock.check()
        try:
            self._put_segment(number, data)
        except StoreConflict:
            raise lost(self.lease) from None
        if not self._lock.current:
            # it took longer than our lease: by now the number may have been taken, folded in, and set free again
            with self._lock_guard:
                self._lock.verify()

    def _put_segment(self, number: int, data: bytes) -> None:
        key = self._location.prefix + segment_key(number)
        try:
            self._store.put_if(key, data, None)
        except OSError as error:
            raise _unwritable(error) from error
        self._position = number
        self._garbage.append(key)
        self._weight += len(data) + REQUEST
        self._dirty = True

    def begin(self) -> None:
        """Write the first segment: whoever held the lock before us cannot write from here on. StoreConflict when he just did."""
        if not self.ledger.lineage:
            self.ledger.lineage = uuid.uuid4().hex
        if self._found.irregular:
            self._tidy()
        entry = Begin(operation=self.lease.operation, epoch=self.lease.epoch, owner=str(self.lease), time=time.time())
        number = self._position + 1
        self._put_segment(number, encode_segment(number, self.lease.epoch, [entry]))
        self._fences.append(Fence(self._position, entry.time))
        self.ledger.apply(entry)
        self._renewer.start()

    def _tidy(self) -> None:
        """Fold a journal that a crash or a restored backup left in disorder into the snapshot; what was torn is kept aside."""
        for key in self._found.torn:
            blob = self._store.get(key)
            if blob is not None:
                self._keep_aside(key, blob.data)
        self._compact()

    def _keep_aside(self, key: str, data: bytes) -> None:
        name = f"{self._location.prefix}damaged/{key.rpartition('/')[2]}-{int(time.time())}"
        with suppress(StoreConflict):
            self._store.put_if(name, data, None)

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
            if self._dirty and self._failed is None and self._lock.current:
                self._compact()
        finally:
            with self._lock_guard:
                self._lock.release()
            self._location.close()

    def _compact(self) -> None:
        """Write the snapshot, then delete what it contains: all segments but the fences that may still be needed."""
        old = time.time() - SKEW - max(self._location.lease, LEASE, self.taken_from.length if self.taken_from else 0.0)
        over = [f for f in self._fences if f.time <= old]
        self._fences = [f for f in self._fences if f.time > old]
        self._garbage += [key for f in over if (key := self._location.prefix + segment_key(f.number)) not in self._garbage]
        data = encode_snapshot(
            self.ledger.freeze(), self.ledger.intents.values(), self._position, epoch=self.lease.epoch, fences=self._fences
        )
        self._put_snapshot(data)
        kept = {self._location.prefix + segment_key(f.number) for f in self._fences}
        delete_all(self._store, [key for key in self._garbage if key not in kept])
        self._garbage = [key for key in self._garbage if key in kept]
        self._snapshot_size, self._weight = len(data), 0

    def _put_snapshot(self, data: bytes) -> None:
        key = self._location.prefix + SNAPSHOT
        for _ in range(5):
            try:
                self._snapshot_version = self._store.put_if(key, data, self._snapshot_version)
                return
            except StoreConflict:
                # a holder that had lost its lock and did not know it folded in what it had: less than we have
                blob = self._store.get(key)
                if blob is not None:
                    theirs = decode_snapshot(blob.data)
                    if theirs.epoch >= self.lease.epoch or theirs.position > self._position:
                        break
                self._snapshot_version = blob.version if blob is not None else None
            except OSError as error:
                raise _unwritable(error) from error
        raise lost(self.lease) from None

    def _renew(self) -> None:
        pause = self._location.lease / 3
        while not self._stop_renewing.wait(pause):
            try:
                with self._lock_guard:
                    self._lock.renew()
                pause = self._location.lease / 3
            except (StoreUnavailable, OSError):
                pause = self._location.lease / 20  # a hiccup of the store; the lease says when it is too late
            except MlinfraError as error:
                self._failed = error
                return


def _unwritable(error: OSError) -> StateError:
    return StateError(
        Diagnostic(code="state.unwritable", message=f"the state cannot be written: {error}", hint="free space or fix permissions")
    )


def open_session(
    location: Location,
    operation: str,
    *,
    lock_timeout: float | None = None,
    say: Callable[[str], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Session:
    """Take the lock (StateLocked names the holder), read the state under it, and fence off whoever held it before.

    ``lock_timeout``, ``say`` and ``cancelled`` as for :meth:`Lock.acquire`."""
    lock = location.lock()
    hold_store(location.store)
    try:
        lease, taken_from = lock.acquire(operation, lock_timeout, say=say, cancelled=cancelled)
        for _ in range(20):
            found = location.reading()
            if found.epoch >= lease.epoch:  # the lock object was lost and made anew: what was written says how far it was
                lock.renew(epoch=found.epoch + 1)
                lease = lock.held or lease
            session = Session(location, lock, found, lease, taken_from)
            try:
                session.begin()
                return session
            except StoreConflict:
                lock.verify()  # still ours: the one before us got a last write in, which counts; read it
        raise lost(lease)
    except BaseException:
        lock.release()
        location.close()
        raise
