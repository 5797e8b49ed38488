"""The keys of one state, and ``key.json``, where they lie wrapped.

A *data key* of 32 random bytes is made once for a state and encrypts what is encrypted; ``state.encryption.key`` only wraps
it. ``key.json`` holds every data key that something may still be encrypted with, and the keys of older digests, encrypted::

    {"format": 1, "current": ID, "keys": {ID: {"source": "env:NAME", "salt": …, "wrapped": …}}, "digests": {ID: …}}
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.state.encryption import key_services, local_keys
from mlinfra.state.encryption.cipher import ID_SIZE, KEY_SIZE, Forged, decrypt, derive, encrypt
from mlinfra.state.encryption.sources import Encryption, KeySource
from mlinfra.state.sealing import ENVELOPE
from mlinfra.state.sealing import KEY as PLAIN_KEY
from mlinfra.state.store import Blob, Store, StoreConflict

FORMAT = 1
_VALUES, _BLOBS, _DIGESTS = "values", "blobs", "digests"


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """``keys``: data keys by id (16 hex digits); ``current`` encrypts, all decrypt. ``older``: the keys of digests that no data
    key here makes."""

    current: str
    keys: Mapping[str, bytes]
    older: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest_key(self) -> bytes:
        """What new digests are keyed with."""
        return derive(self.keys[self.current], _DIGESTS)

    @property
    def digest_keys(self) -> dict[str, bytes]:
        """Everything that a digest in the state may be keyed with, by id."""
        return {**self.older, **{id: derive(key, _DIGESTS) for id, key in self.keys.items()}}

    def encrypt_value(self, text: str, place: str) -> str:
        """A secret as base64; ``place`` is authenticated."""
        return base64.b64encode(self._encrypt(_VALUES, text.encode(), place)).decode()

    def decrypt_value(self, ciphertext: str, place: str) -> str:
        """StateError when it was altered, or its key is not on the ring."""
        try:
            data = base64.b64decode(ciphertext, validate=True)
        except ValueError:
            raise forged("a secret in the state") from None
        return self._decrypt(_VALUES, data, place, "a secret in the state").decode()

    def encrypt_blob(self, data: bytes, name: str) -> bytes:
        """A blob of the store; its ``name`` is authenticated, so that blobs cannot be exchanged."""
        return self._encrypt(_BLOBS, data, name)

    def decrypt_blob(self, data: bytes, name: str) -> bytes:
        """StateError when it was altered or moved, or its key is not on the ring."""
        return self._decrypt(_BLOBS, data, name, name)

    def _encrypt(self, purpose: str, data: bytes, place: str) -> bytes:
        key = derive(self.keys[self.current], purpose)
        return bytes.fromhex(self.current) + encrypt(key, data, place.encode())

    def _decrypt(self, purpose: str, data: bytes, place: str, what: str) -> bytes:
        id = data[:ID_SIZE].hex()
        if id not in self.keys:
            raise StateError(
                Diagnostic(
                    code="state.wrong_key",
                    message=f"{what} is encrypted with the data key {id}, which {ENVELOPE} does not hold",
                    hint="restore key.json from the backup that the state comes from",
                )
            )
        try:
            return decrypt(derive(self.keys[id], purpose), data[ID_SIZE:], place.encode())
        except Forged:
            raise forged(what) from None


def forged(what: str) -> StateError:
    """The error of a ciphertext that does not authenticate."""
    return StateError(
        Diagnostic(
            code="state.forged",
            message=f"{what} was altered after it was encrypted, or comes from another place",
            hint="restore it from your backup",
        )
    )


def open_keyring(store: Store, prefix: str, encryption: Encryption, *, create: bool) -> Keyring | None:
    """The state's keys. None when it has none yet and ``create`` is not set. StateError when no configured key opens them."""
    blob = store.get(prefix + ENVELOPE)
    if blob is None:
        return make_keyring(store, prefix, encryption) if create else None
    return read_keyring(blob, encryption)


def make_keyring(store: Store, prefix: str, encryption: Encryption) -> Keyring:
    """The first keys of a state. The key of its unencrypted past goes into them, out of everybody's sight."""
    plain = store.get(prefix + PLAIN_KEY)
    made = fresh_keyring(older={"": plain.data} if plain is not None else {})
    try:
        store.put_if(prefix + ENVELOPE, encode(made, encryption), None)
    except StoreConflict:
        blob = store.get(prefix + ENVELOPE)
        if blob is None:
            raise
        return read_keyring(blob, encryption)
    if plain is not None:
        store.delete(prefix + PLAIN_KEY)
    return made


def fresh_keyring(*, keys: Mapping[str, bytes] | None = None, older: Mapping[str, bytes] | None = None) -> Keyring:
    """A ring with a new current key, and those given."""
    id = os.urandom(ID_SIZE).hex()
    return Keyring(id, {**(keys or {}), id: os.urandom(KEY_SIZE)}, dict(older or {}))


def encode(ring: Keyring, encryption: Encryption) -> bytes:
    """``key.json``: every key wrapped by the first configured one."""
    source = encryption.sources[0]
    hidden = derive(ring.keys[ring.current], "older digests")
    older = {id: _text(encrypt(hidden, key, id.encode())) for id, key in ring.older.items()}
    tree = {
        "format": FORMAT,
        "current": ring.current,
        "keys": {id: _wrapped(source, id, key) for id, key in ring.keys.items()},
        "digests": older,
    }
    return json.dumps(tree, indent=1).encode()


def read_keyring(blob: Blob, encryption: Encryption) -> Keyring:
    """``key.json`` opened with whichever configured key fits."""
    tree = _tree(blob)
    try:
        keys = {id: _unwrapped(id, entry, encryption.sources) for id, entry in tree["keys"].items()}
        current = tree["current"]
        hidden = derive(keys[current], "older digests")
        older = {id: decrypt(hidden, base64.b64decode(text), id.encode()) for id, text in tree["digests"].items()}
    except (Forged, KeyError, ValueError, TypeError, AttributeError):
        raise forged(ENVELOPE) from None
    return Keyring(current, keys, older)


def _tree(blob: Blob) -> dict[str, Any]:
    try:
        tree = json.loads(blob.data)
        version = tree["format"]
    except (ValueError, KeyError, TypeError):
        raise forged(ENVELOPE) from None
    if version != FORMAT:
        raise StateError(
            Diagnostic(
                code="state.newer",
                message=f"{ENVELOPE} was written by a newer mlinfra",
                hint="use that version; nothing was changed",
            )
        )
    found: dict[str, Any] = tree
    return found


def _wrapped(source: KeySource, id: str, key: bytes) -> dict[str, str]:
    if not source.local:
        return {"source": str(source), **key_services.wrap(source, key)}
    salt = os.urandom(local_keys.SALT_SIZE)
    wrapped = encrypt(local_keys.key_of(source, salt), key, id.encode())
    return {"source": _shown(source), "salt": _text(salt), "wrapped": _text(wrapped)}


def _unwrapped(id: str, entry: Mapping[str, str], sources: Iterable[KeySource]) -> bytes:
    """By the source that is named, else by any of its sort: keys move from a variable to a file, aliases get new names."""
    scheme = entry["source"].partition(":")[0]
    local = scheme in ("env", "file")
    candidates = [s for s in sources if (s.local if local else s.scheme == scheme)]
    candidates.sort(key=lambda s: _shown(s) != entry["source"])
    refused: list[Diagnostic] = []
    for source in candidates:
        try:
            if not local:
                return key_services.unwrap(source, {k: v for k, v in entry.items() if k != "source"})
            return decrypt(
                local_keys.key_of(source, base64.b64decode(entry["salt"])), base64.b64decode(entry["wrapped"]), id.encode()
            )
        except Forged:
            refused.append(_does_not_open(source))
        except StateError as error:
            refused += error.diagnostics
    shown = [_shown(s) for s in sources]
    if not refused or (not local and entry["source"] not in shown):
        refused.insert(
            0,
            Diagnostic(
                code="state.wrong_key",
                message=f"this state is encrypted with the key {entry['source']}, which is not configured (only {', '.join(shown)})",
                hint=f'list it too: state: {{encryption: {{key: …, previous: ["{entry["source"]}"]}}}}',
            ),
        )
    raise StateError(refused)


def _does_not_open(source: KeySource) -> Diagnostic:
    return Diagnostic(
        code="state.wrong_key",
        message=f"the key {_shown(source)} is not the one that this state was encrypted with",
        hint="give the right one, or list the old one under state.encryption.previous",
    )


def _shown(source: KeySource) -> str:
    """As it is written into key.json: no paths of this machine."""
    return "file:" + source.where.rpartition("/")[2] if source.scheme == "file" else str(source)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
