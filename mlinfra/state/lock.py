"""The lock: a lease with an owner, an expiry and an epoch that only grows.

The holder renews it while it works. Whether a holder on another machine is dead is not asked of the clocks, which may differ:
a lock object that has not changed for as long as its lease lasts, by the watcher's own steady clock, belongs to nobody who
could still write. A process of this machine is looked up. Writes are not protected by the lock but by the journal (see
``segments`` and docs/decisions/0018): a holder that lost its lease cannot write.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import Interrupted, StateLocked
from mlinfra.state.store import BreaksLocks, Store, StoreConflict, guards_of

KEY = "lock.json"
LEASE = 60.0
"""Seconds that a lease lasts without being renewed, unless the state's settings say otherwise."""
SKEW = 900.0
"""Seconds by which two clocks may differ: the clouds refuse requests whose clock is off by more
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html, RequestTimeTooSkewed)."""


def steady() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


_FIRST_SEEN: dict[str, float] = {}
"""When this process first saw each version of a lock object: who has watched for a while need not begin again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who holds the lock. ``since`` and ``expires`` are Unix seconds by the holder's clock, ``length`` seconds.

    ``machine`` tells this boot of this machine (and its process namespace) from any other of the same name; ``born`` tells
    a process from a later one with the same pid. ``guarded``: the store guards the lock object for it, and tells by its own clock when
    the holder has gone silent (docs/decisions/0020)."""

    id: str = ""
    owner: str = ""
    host: str = ""
    machine: str = ""
    pid: int = 0
    born: str = ""
    operation: str = ""
    since: float = 0.0
    expires: float = 0.0
    length: float = LEASE
    epoch: int = 0
    guarded: bool = False

    @property
    def held(self) -> bool:
        return bool(self.id)

    @property
    def here(self) -> bool:
        """Whether its process is, or was, one of this machine."""
        return self.machine == _machine()

    def dead(self, now: float) -> bool:
        """Whether its holder is surely gone at the Unix time ``now``: its process is, or its time is up by any clock."""
        if self.here and _process_born(self.pid) != self.born:
            return True
        return now >= self.expires + SKEW

    def __str__(self) -> str:
        return f"{self.owner}@{self.host} (pid {self.pid}, {self.operation}, lock {self.id})"


class Lock:
    """The lock of one state. Not thread-safe; the session calls it from one thread at a time.

    ``clock`` gives Unix seconds, ``ticks`` steady ones, ``lease`` is how long ours lasts."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = steady,
        sleep: Callable[[float], None] = time.sleep,
        lease: float = LEASE,
    ) -> None:
        self._store = store
        self._guards = guards_of(store)
        self._key = prefix + KEY
        self._clock = clock
        self._ticks = ticks
        self._sleep = sleep
        self._lease = lease
        self._version: str | None = None
        self._renewed = 0.0
        self._seen = _FIRST_SEEN if ticks is steady else {}
        self.held: Lease | None = None

    def holder(self) -> Lease | None:
        """Who holds it now and may be alive; None when it is free, or known to be a dead one's."""
        lease, version = self._read()
        if not lease.held or lease.dead(self._clock()) or self._silent(lease):
            return None
        now = self._ticks()
        return lease if now - self._seen.setdefault(f"{lease.id} {version}", now) < lease.length else None

    def seen(self) -> Lease | None:
        """The lease as it is written, its holder dead or alive; None when nobody's is."""
        lease, _ = self._read()
        return lease if lease.held else None

    def acquire(
        self,
        operation: str,
        timeout: float | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[Lease, Lease | None]:
        """Take it; the lease, and the dead holder it was taken from, if any. StateLocked, naming the holder, when somebody
        keeps it. ``say`` is told once for whom we wait.

        ``timeout`` None waits until it is known whether the holder lives: not at all for a process of this machine, a third
        of its lease for a living one elsewhere, its whole lease for a dead one. A number waits so many seconds and no longer."""
        began = self._ticks()
        while True:
            found, version = self._wait(began, timeout, say, cancelled)
            if self._take(found, version, operation):
                assert self.held is not None
                return self.held, found if found.held else None

    def settled(
        self,
        timeout: float | None = None,
        *,
        say: Callable[[str], None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Lease | None:
        """Wait as :meth:`acquire` does, but take nothing: the holder that lives, or None when there is none any more."""
        try:
            self._wait(self._ticks(), timeout, say, cancelled)
        except StateLocked:
            return self.holder()
        return None

    def _wait(
        self, began: float, timeout: float | None, say: Callable[[str], None], cancelled: Callable[[], bool]
    ) -> tuple[Lease, str | None]:
        """The lock object as it stands once it is nobody's; StateLocked when it stays somebody's."""
        first: str | None = None
        told = ""
        while True:
            found, version = self._read()
            if not found.held or version is None or found.dead(self._clock()) or self._silent(found):
                return found, version
            now = self._ticks()
            alive = first is not None and first != version
            first = first or version
            since = self._seen.setdefault(f"{found.id} {version}", now)
            if now - since >= found.length:
                return found, version
            limit = timeout
            if limit is None:
                limit = 0.0 if found.here or alive else float("inf")
            if now - began >= limit:
                raise self._locked(found, waited=now - began)
            if told != found.id:
                told = found.id
                say(self._waiting(found, timeout))
            if cancelled():
                raise Interrupted(Diagnostic(code="state.not_waited", message=f"stopped waiting for the lock of {found}"))
            self._sleep(max(0.02, min(2.0, found.length / 30, limit - (now - began), found.length - (now - since))))

    def _take(self, found: Lease, version: str | None, operation: str) -> bool:
        now, ticks = self._clock(), self._ticks()
        guarded = version is not None and self._take_guard(version)
        mine = Lease(
            id=uuid.uuid4().hex[:12], owner=_user(), host=_host(), machine=_machine(), pid=os.getpid(),
            born=_process_born(os.getpid()), operation=operation, since=now, expires=now + self._lease,
            length=self._lease, epoch=found.epoch + 1, guarded=guarded,
        )  # fmt: skip
        try:
            self._version = self._store.put_if(self._key, _encode(mine), version)
        except StoreConflict:
            if guarded and self._guards is not None:
                self._guards.unguard(self._key)
            return False
        self.held, self._renewed = mine, ticks
        return True

    def _take_guard(self, version: str) -> bool:
        """Whether the store guards the lock object for us now. Called only when the lock, as it stands at ``version``, is nobody's: a
        guard that still stands is a dead one's."""
        if self._guards is None:
            return False
        if self._guards.guard(self._key, version, self._lease):
            return True
        self._guards.break_guard(self._key, version)
        return self._guards.guard(self._key, version, self._lease)

    def _silent(self, found: Lease) -> bool:
        """Whether the store itself says that the holder has not renewed for a whole lease."""
        return found.guarded and self._guards is not None and not self._guards.guarded(self._key)

    def renew(self, *, epoch: int = 0) -> None:
        """Extend the lease, and lift its epoch to ``epoch`` if that is higher. StateLocked when it was lost."""
        if self.held is None:
            return
        ticks = self._ticks()
        guarded = self._guards is not None and self._guards.guard(self._key, self._version or "", self._lease)
        mine = replace(self.held, expires=self._clock() + self._lease, epoch=max(epoch, self.held.epoch), guarded=guarded)
        try:
            self._version = self._store.put_if(self._key, _encode(mine), self._version)
        except StoreConflict:
            raise lost(self.held) from None
        self.held, self._renewed = mine, ticks

    @property
    def current(self) -> bool:
        """Whether, by our own steady clock, nobody can have seen our lease run out."""
        return self.held is not None and self._ticks() < self._renewed + self._lease

    def check(self) -> None:
        """StateLocked when our own clock says that the lease ran out. Asks nobody."""
        if self.held is not None and not self.current:
            raise lost(self.held)

    def verify(self) -> None:
        """StateLocked when the lock is not ours any more. Asks the store."""
        if self.held is not None and self._read()[0].id != self.held.id:
            raise lost(self.held)

    def release(self) -> None:
        """Give it back; the epoch stays. A lock that was lost meanwhile is left to its new holder."""
        if self.held is None:
            return
        if self._guards is not None:  # first: a guard that outlived the lock would stand in the next one's way
            self._guards.unguard(self._key)
        with suppress(StoreConflict):
            self._store.put_if(self._key, _encode(Lease(epoch=self.held.epoch)), self._version)
        self.held = None

    def force_release(self, lock_id: str) -> Lease:
        """``state unlock ID``: free it whoever holds it. StateLocked when another id holds it."""
        broken = isinstance(self._store, BreaksLocks) and self._store.break_lock(lock_id)
        found, version = self._read()
        if not found.held or found.id != lock_id:
            if broken:
                return found if found.held else Lease(id=lock_id, owner="somebody", host="another tool")
            holder = f"it is held by {found}" if found.held else "nobody holds it"
            raise StateLocked(Diagnostic(code="state.no_such_lock", message=f"there is no lock {lock_id}: {holder}"))
        if self._guards is not None and version is not None:
            self._guards.break_guard(self._key, version)
        try:
            self._store.put_if(self._key, _encode(Lease(epoch=found.epoch)), version)
        except StoreConflict:
            message = f"the lock {lock_id} changed while it was being broken: its holder is alive"
            raise StateLocked(
                Diagnostic(code="state.lock_moved", message=message, hint="wait for it: --lock-timeout 5m")
            ) from None
        return found

    def _read(self) -> tuple[Lease, str | None]:
        blob = self._store.get(self._key)
        if blob is None:
            return Lease(), None
        known = {f.name for f in fields(Lease)}
        try:
            return Lease(**{k: v for k, v in json.loads(blob.data).items() if k in known}), blob.version
        except (ValueError, TypeError, AttributeError):
            return Lease(), blob.version

    def _waiting(self, found: Lease, timeout: float | None) -> str:
        why = "" if timeout is not None else f", to see whether it is alive: {found.length:.0f} s at the most"
        return f"Waiting for the lock of {found}{why}"

    def _locked(self, found: Lease, *, waited: float) -> StateLocked:
        after = f", which did not come free within {_ago(waited)}" if waited >= 1 else ""
        return StateLocked(
            Diagnostic(
                code="state.locked",
                message=f"the state is locked by {found}, since {_ago(self._clock() - found.since)}{after}",
                hint=f"wait for it (--lock-timeout 5m), or, if you are sure that it is dead: mlinfra state unlock {found.id}",
            )
        )


def this_process(lock_id: str) -> Lease:
    """A lease that names this process as the holder of some lock ``lock_id``."""
    now = time.time()
    return Lease(
        id=lock_id, owner=_user(), host=_host(), machine=_machine(), pid=os.getpid(), born=_process_born(os.getpid()),
        operation="write", since=now, expires=now + LEASE,
    )  # fmt: skip


def lost(lease: Lease) -> StateLocked:
    """The error of a holder that lost its lock."""
    return StateLocked(
        Diagnostic(
            code="state.lock_lost",
            message=f"this run lost its lock {lease.id} to another; it stops writing",
            hint="run the command again: it picks up what was recorded and looks up what was not",
        )
    )


def _encode(lease: Lease) -> bytes:
    tree: dict[str, Any] = asdict(lease)
    return json.dumps(tree).encode()


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _host() -> str:
    import socket

    return socket.gethostname()


@cache
def _machine() -> str:
    """This boot of this machine and the namespace that its pids are counted in; the host's name where that is not told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return _host()


def _process_born(pid: int) -> str:
    """Something that tells this process from another with its pid; ``""`` when there is no such process."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except (OSError, IndexError, ValueError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
