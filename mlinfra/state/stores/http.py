"""State behind Terraform's HTTP protocol (GitLab's managed state, for one), which keeps one document and one lock.

All blobs live in that document. It is written only while the server's lock is held: for one write, or, in a session, from the
first write until ``close``. Every write posts the whole document, so writes are paced. A dead run's lock at the server is
freed by the next run once the run's own lease, which is in the document, has run out.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from mlinfra import __version__
from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateLocked
from mlinfra.state.lock import KEY as LEASE_KEY
from mlinfra.state.lock import LEASE, Lease, Lock, steady, this_process
from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable
from mlinfra.state.stores.http_client import HttpClient, LockedByOther
from mlinfra.state.stores.http_document import Document, decode, encode
from mlinfra.state.stores.settings import HttpSettings

PACE = 1.0
"""Seconds between two posts, once BURST of them were made without waiting."""
BURST = 10
OURS = "mlinfra-"
"""What the IDs of our locks begin with: only those are ever freed on behalf of another."""
PATIENCE = 10.0
"""Seconds to wait for a lock of the server that no lease explains: its holder is on its way in or out."""


class HttpStore:
    """One document at one address. The version of a blob is the document's serial when it was written."""

    remote = True

    def __init__(
        self, client: HttpClient, *, pace: float = PACE, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._guard = threading.RLock()
        self._pacer = _Pacer(pace, clock)
        self._patience = patience
        self._lock: dict[str, str] | None = None
        self._document: Document | None = None
        """What the server keeps, while the lock is ours."""
        self._holding = False

    @classmethod
    def from_settings(cls, settings: HttpSettings, environ: Mapping[str, str]) -> HttpStore:
        """A store for these settings, filled up from ``TF_HTTP_*``. StoreUnavailable when something needed is nowhere."""

        def chosen(own: str | None, name: str, default: str = "") -> str:
            return own or environ.get(name) or default

        def method(name: str, default: str) -> str:
            own = getattr(settings, name) if name in settings.model_fields_set else None
            return chosen(own, f"TF_HTTP_{name.upper()}", default)

        address = chosen(settings.address, "TF_HTTP_ADDRESS")
        if not address:
            raise StoreUnavailable("the HTTP state has no address", "set state.address, or TF_HTTP_ADDRESS in the environment")
        lock_address = chosen(settings.lock_address, "TF_HTTP_LOCK_ADDRESS")
        if not lock_address:
            raise StoreUnavailable(
                "the HTTP state has no lock_address: without a lock, two runs could overwrite each other",
                "set state.lock_address, or TF_HTTP_LOCK_ADDRESS (GitLab: the address followed by /lock)",
            )
        password = environ.get("MLINFRA_HTTP_PASSWORD") or environ.get("TF_HTTP_PASSWORD", "")
        client = HttpClient(
            address=address,
            lock_address=lock_address,
            unlock_address=chosen(settings.unlock_address, "TF_HTTP_UNLOCK_ADDRESS", lock_address),
            update_method=method("update_method", "POST"),
            lock_method=method("lock_method", "LOCK"),
            unlock_method=method("unlock_method", "UNLOCK"),
            username=chosen(settings.username, "TF_HTTP_USERNAME"),
            password=password,
            verify=not settings.skip_cert_verification,
            timeout=settings.timeout,
        )
        return cls(client)

    def get(self, key: str) -> Blob | None:
        return self._read().blobs.get(key)

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self._read().blobs if key.startswith(prefix))

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        with self._guard, self._locked(key, version):
            assert self._document is not None
            changed = self._document.put(key, data, version)
            self._post(changed)
            return str(changed.serial)

    def delete(self, key: str) -> None:
        self.delete_many([key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """One post; none when there is nothing to delete."""
        wanted = set(keys)
        with self._guard, self._locked():
            assert self._document is not None
            if wanted & self._document.blobs.keys():
                self._post(self._document.without(wanted))

    def hold(self) -> None:
        self._holding = True

    def close(self) -> None:
        with self._guard:
            self._holding = False
            self._unlock()

    def break_lock(self, lock_id: str) -> bool:
        """``lock_id`` is the server's, or that of a lease that lies in the document."""
        with self._guard:
            document = self._read()
            leases = [lease.id for _, lease in _leases(document)]
            held = document.holder.id if document.holder else ""
            return self._client.unlock({"ID": held if lock_id in leases and held else lock_id})

    def _read(self) -> Document:
        with self._guard:
            if self._lock is not None and self._document is not None:
                return self._document  # nobody else can have changed it
            return self._fetch()

    def _fetch(self) -> Document:
        found = self._client.fetch()
        return decode(found, self._client.address) if found is not None else Document()

    def _post(self, changed: Document) -> None:
        assert self._lock is not None
        changed = replace(changed, holder=this_process(self._lock["ID"]))
        self._pacer.wait()
        try:
            self._client.post(encode(changed), self._lock["ID"])
        except LockedByOther:
            self._lock = self._document = None
            raise StoreConflict("the server's lock was lost") from None
        except StoreUnavailable:
            self._document = None  # it may have been written all the same
            raise
        self._document = changed

    @contextmanager
    def _locked(self, key: str = "", version: str | None = None) -> Iterator[None]:
        if self._lock is None:
            self._lock = self._take_lock(key, version)
        try:
            if self._document is None:
                self._document = self._fetch()
            yield
        finally:
            if not self._holding:
                self._unlock()

    def _take_lock(self, key: str, version: str | None) -> dict[str, str]:
        """The server's lock, to write ``key`` over ``version``. StateLocked when somebody alive, or unknown, keeps it."""
        mine = {
            "ID": f"{OURS}{uuid.uuid4()}",
            "Operation": "mlinfra",
            "Info": "",
            "Who": f"{_user()}@{socket.gethostname()}",
            "Version": __version__,
            "Created": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "Path": "",
        }
        watch = _Watch()
        wait = 0.02
        while True:
            try:
                self._client.lock(mine)
                return mine
            except LockedByOther as locked:
                document = self._fetch()
                holder = str(locked.info.get("ID", ""))
                watch.see(holder, document.serial)
                if holder.startswith(OURS) and (_superseded(document, key, version) or watch.shows_dead(document)):
                    self._client.unlock(locked.info)
                    continue
                if watch.seconds >= (self._patience if watch.alive or not holder.startswith(OURS) else LEASE * 2):
                    raise _locked_by(locked.info, self._client.lock_address) from None
            time.sleep(wait)
            wait = min(1.0, wait * 1.5)

    def _unlock(self) -> None:
        mine, self._lock, self._document = self._lock, None, None
        if mine is not None:
            with suppress(StoreUnavailable):  # the next run finds our lease released, and frees it
                self._client.unlock(mine)


class _Watch:
    """What is seen of a lock of the server while waiting for it, by our own steady clock."""

    def __init__(self) -> None:
        self._began = self._since = steady()
        self._seen: tuple[str, int] | None = None
        self.alive = False

    def see(self, holder: str, serial: int) -> None:
        if self._seen != (holder, serial):
            self.alive = self._seen is not None
            self._seen, self._since = (holder, serial), steady()

    @property
    def seconds(self) -> float:
        return steady() - self._began

    def shows_dead(self, document: Document) -> bool:
        """A process of this machine that is gone; or nothing was written for as long as a lease lasts, which is renewed thrice."""
        assert self._seen is not None
        writer = document.holder
        known = writer is not None and writer.id == self._seen[0]
        if known and writer is not None and writer.here and writer.dead(time.time()):
            return True
        longest = max([LEASE, *(lease.length for _, lease in _leases(document))])
        return steady() - self._since >= longest


def _superseded(document: Document, key: str, version: str | None) -> bool:
    """Whether this very write takes over a lease that :class:`Lock` found dead, and no other lease in the document is held."""
    blob = document.blobs.get(key)
    if not key.endswith(LEASE_KEY) or blob is None or blob.version != version:
        return False
    held = {where for where, _ in _leases(document)}
    return held == {key}


def _leases(document: Document) -> list[tuple[str, Lease]]:
    """The leases that are written in the document, by key; their holders may be dead."""
    frozen = _Frozen(document)
    found = ((key, Lock(frozen, key.removesuffix(LEASE_KEY)).seen()) for key in document.blobs if key.endswith(LEASE_KEY))
    return [(key, lease) for key, lease in found if lease is not None]


class _Frozen:
    """A document as a store that is only read."""

    def __init__(self, document: Document) -> None:
        self._blobs = document.blobs

    def get(self, key: str) -> Blob | None:
        return self._blobs.get(key)

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        raise StoreConflict(key)

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self._blobs if key.startswith(prefix))

    def delete(self, key: str) -> None:
        raise StoreConflict(key)


class _Pacer:
    """A bucket of BURST tokens, one more every ``pace`` seconds."""

    def __init__(self, pace: float, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock
        self._tokens = float(BURST)
        self._seen = clock()

    def wait(self) -> None:
        if not self._pace:
            return
        now = self._clock()
        self._tokens = min(BURST, self._tokens + (now - self._seen) / self._pace) - 1
        self._seen = now
        if self._tokens < 0:
            time.sleep(-self._tokens * self._pace)


def _locked_by(info: Mapping[str, Any], address: str) -> StateLocked:
    who, created = info.get("Who") or "somebody", info.get("Created") or "a time unknown"
    lock_id = str(info.get("ID", "")) or "ID"
    return StateLocked(
        Diagnostic(
            code="state.locked",
            message=f"the state is locked at {address} by {who} since {created} (lock {lock_id})",
            hint=f"wait for it, or, if you are sure that it is dead: mlinfra state unlock {lock_id}",
        )
    )


def _user() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return f"uid {os.getuid()}"
