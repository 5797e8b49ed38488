"""A store whose blobs are encrypted, over any other store. What is plain is still read, so that a state can become encrypted
while it is in use; what is encrypted is refused without its key. The lock and the keys themselves stay as they are."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mlinfra.model.errors import StateError
from mlinfra.state.encryption.sources import Encryption
from mlinfra.state.lock import KEY as LOCK
from mlinfra.state.sealing import ENVELOPE, no_encryption
from mlinfra.state.sealing import KEY as PLAIN_KEY
from mlinfra.state.store import Blob, BreaksLocks, Store, close_store, delete_all, hold_store, is_remote

if TYPE_CHECKING:
    from mlinfra.state.encryption.keyring import Keyring

MAGIC = b"mlinfra-encrypted-1\n"
"""How an encrypted blob begins; then follow the id of its data key, the nonce and the ciphertext."""
_PLAIN = frozenset({LOCK, ENVELOPE, PLAIN_KEY})


class EncryptedStore:
    """``encryption`` None: nothing is encrypted, and what is, is refused with a sentence that says why."""

    def __init__(self, inner: Store, prefix: str, encryption: Encryption | None) -> None:
        self._inner = inner
        self._prefix = prefix
        self._encryption = encryption
        self._ring: Keyring | None = None
        self._loading = threading.Lock()

    @property
    def inner(self) -> Store:
        return self._inner

    def get(self, key: str) -> Blob | None:
        blob = self._inner.get(key)
        if blob is None or not blob.data.startswith(MAGIC):
            return blob
        body = blob.data[len(MAGIC) :]
        try:
            return Blob(self._keyring(create=False).decrypt_blob(body, key), blob.version)
        except StateError as error:
            code = error.diagnostics[0].code
            if code == "state.forged" and key.startswith(self._prefix + "journal/"):
                return blob  # perhaps torn by a crash: the journal knows what that means, and refuses the rest
            if code != "state.wrong_key" or self._ring is None:
                raise
        self.forget_keys()  # somebody rotated the key since it was read
        return Blob(self._keyring(create=False).decrypt_blob(body, key), blob.version)

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        if self._encryption is not None and self._encryption.whole and self.is_encryptable(key):
            data = MAGIC + self._keyring(create=True).encrypt_blob(data, key)
        return self._inner.put_if(key, data, version)

    def list(self, prefix: str) -> list[str]:
        return self._inner.list(prefix)

    def delete(self, key: str) -> None:
        self._inner.delete(key)

    def delete_many(self, keys: Iterable[str]) -> None:
        delete_all(self._inner, keys)

    def hold(self) -> None:
        hold_store(self._inner)

    def close(self) -> None:
        close_store(self._inner)

    @property
    def remote(self) -> bool:
        return is_remote(self._inner)

    def break_lock(self, lock_id: str) -> bool:
        return isinstance(self._inner, BreaksLocks) and self._inner.break_lock(lock_id)

    def forget_keys(self) -> None:
        """Read the keys again when they are next needed."""
        self._ring = None

    def encrypted_with(self, key: str) -> str | None:
        """The id of the data key of a blob; ``""`` for a plain one, None when there is none."""
        blob = self._inner.get(key)
        if blob is None:
            return None
        return blob.data[len(MAGIC) : len(MAGIC) + 8].hex() if blob.data.startswith(MAGIC) else ""

    def is_encryptable(self, key: str) -> bool:
        """Whether a blob of this name may be encrypted: neither the lock nor a key."""
        return key.removeprefix(self._prefix) not in _PLAIN

    def _keyring(self, *, create: bool) -> Keyring:
        with self._loading:
            if self._ring is None:
                if self._encryption is None:
                    raise no_encryption()
                from mlinfra.state.encryption.keyring import open_keyring

                self._ring = open_keyring(self._inner, self._prefix, self._encryption, create=create)
                if self._ring is None:
                    raise lost_keys()
            return self._ring


def lost_keys() -> StateError:
    """The error of an encrypted blob without ``key.json`` beside it."""
    from mlinfra.model.diagnostic import Diagnostic

    return StateError(
        Diagnostic(
            code="state.no_envelope",
            message=f"this state is encrypted, but {ENVELOPE}, which holds its wrapped key, is gone",
            hint="restore it from your backup: without it the state cannot be read",
        )
    )
