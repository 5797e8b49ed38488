"""The lock: a lease with an owner, an expiry and an epoch that only grows.

The holder renews it while it works. A lease that ran out, or whose process on this host is dead, is taken over. Writes are
not protected by the lock but by the journal (see segments): a holder that lost its lease cannot write.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateLocked
from mlinfra.state.store import Store, StoreConflict

KEY = "lock.json"
LEASE = 60.0
"""Seconds that a lease lasts without being renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who holds the lock. ``expires`` is Unix seconds; ``born`` tells a process from a later one with the same pid."""

    id: str = ""
    owner: str = ""
    host: str = ""
    pid: int = 0
    born: str = ""
    operation: str = ""
    since: float = 0.0
    expires: float = 0.0
    epoch: int = 0

    @property
    def held(self) -> bool:
        return bool(self.id)

    def alive(self, now: float) -> bool:
        """Whether its holder may still be at work."""
        if not self.held or now >= self.expires:
            return False
        return self.host != socket.gethostname() or _process_born(self.pid) == self.born

    def __str__(self) -> str:
        return f"{self.owner}@{self.host} (pid {self.pid}, {self.operation}, lock {self.id})"


class Lock:
    """The lock of one state. Not thread-safe; the session calls it from one thread at a time."""

    def __init__(self, store: Store, prefix: str, *, clock: Callable[[], float] = time.time, lease: float = LEASE) -> None:
        self._store = store
        self._key = prefix + KEY
        self._clock = clock
        self._lease = lease
        self._version: str | None = None
        self.held: Lease | None = None

    def holder(self) -> Lease | None:
        """Who holds it now and is alive; None when it is free."""
        lease, _ = self._read()
        return lease if lease.alive(self._clock()) else None

    def acquire(self, operation: str, timeout: float = 0.0) -> tuple[Lease, Lease | None]:
        """Take it, waiting up to ``timeout`` seconds; the lease, and the dead holder it was taken from, if any.

        StateLocked, naming the holder, when somebody else keeps it."""
        deadline = self._clock() + timeout
        while True:
            found, version = self._read()
            now = self._clock()
            if not found.alive(now):
                mine = Lease(
                    id=uuid.uuid4().hex[:12], owner=_user(), host=socket.gethostname(), pid=os.getpid(),
                    born=_process_born(os.getpid()), operation=operation, since=now, expires=now + self._lease,
                    epoch=found.epoch + 1,
                )  # fmt: skip
                try:
                    self._version = self._store.put_if(self._key, _encode(mine), version)
                except StoreConflict:
                    continue
                self.held = mine
                return mine, found if found.held else None
            if now >= deadline:
                raise StateLocked(
                    Diagnostic(
                        code="state.locked",
                        message=f"the state is locked by {found}, since {_ago(now - found.since)} ago",
                        hint="wait for it (--lock-timeout 5m), or, if you are sure that it is dead: "
                        f"mlinfra state unlock {found.id}",
                    )
                )
            time.sleep(min(1.0, max(0.05, deadline - now)))

    def renew(self) -> None:
        """Extend the lease. StateLocked when it was lost."""
        if self.held is None:
            return
        mine = replace(self.held, expires=self._clock() + self._lease)
        try:
            self._version = self._store.put_if(self._key, _encode(mine), self._version)
        except StoreConflict:
            raise lost(self.held) from None
        self.held = mine

    def check(self) -> None:
        """StateLocked when our own clock says that the lease ran out."""
        if self.held is not None and self._clock() >= self.held.expires:
            raise lost(self.held)

    def release(self) -> None:
        """Give it back; the epoch stays. A lock that was lost meanwhile is left to its new holder."""
        if self.held is None:
            return
        with suppress(StoreConflict):
            self._store.put_if(self._key, _encode(Lease(epoch=self.held.epoch)), self._version)
        self.held = None

    def force_release(self, lock_id: str) -> Lease:
        """``state unlock ID``: free it whoever holds it. StateLocked when another id holds it."""
        found, version = self._read()
        if not found.held or found.id != lock_id:
            holder = f"it is held by {found}" if found.held else "nobody holds it"
            raise StateLocked(Diagnostic(code="state.no_such_lock", message=f"there is no lock {lock_id}: {holder}"))
        self._store.put_if(self._key, _encode(Lease(epoch=found.epoch)), version)
        return found

    def _read(self) -> tuple[Lease, str | None]:
        blob = self._store.get(self._key)
        if blob is None:
            return Lease(), None
        try:
            return Lease(**json.loads(blob.data)), blob.version
        except (ValueError, TypeError):
            return Lease(), blob.version


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
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _process_born(pid: int) -> str:
    """Something that tells this process from another with its pid; ``""`` when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except (OSError, IndexError):
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
