"""A new data key for a state, and everything encrypted anew with it.

A crash in between leaves both keys in ``key.json``: everything can be read, and the next rotation finishes the work. Digests of
values that nobody keeps cannot be made anew; their old key stays, encrypted, so that they still compare.
"""

from __future__ import annotations

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.loops import asyncio
from mlinfra.state.encryption.keyring import Keyring, encode, fresh_keyring, open_keyring, read_keyring
from mlinfra.state.encryption.sources import Encryption
from mlinfra.state.encryption.store import EncryptedStore
from mlinfra.state.entries import Entry, Outputs, Record
from mlinfra.state.sealing import ENVELOPE
from mlinfra.state.session import Location, open_session
from mlinfra.state.store import Store, StoreConflict


@dataclass(frozen=True, slots=True)
class Rotated:
    """``key`` is the id of the new data key; ``secrets`` and ``blobs`` count what was encrypted anew, ``left`` the blobs that
    somebody else was writing: the old keys stay for them."""

    key: str
    secrets: int
    blobs: int
    left: int


def rotate(location: Location) -> Rotated:
    """Make a new data key, wrapped by the first configured key, and encrypt everything with it. Takes the state's lock."""
    encryption, store = location.encryption, location.store
    if encryption is None or not isinstance(store, EncryptedStore):
        raise StateError(
            Diagnostic(
                code="state.no_encryption",
                message="this state is not encrypted: there is no key to rotate",
                hint="configure it: state: {encryption: {key: env:MLINFRA_STATE_KEY}}",
            )
        )
    key, secrets = asyncio.run(_under_lock(location, store, encryption))
    blobs = left = 0
    for name in store.list(location.prefix):
        done = _encrypt_again(store, name, key, whole=encryption.whole)
        blobs += done is True
        left += done is None
    if not left:
        _drop_old(store, location.prefix, encryption, key)
    return Rotated(key, secrets, blobs, left)


async def _under_lock(location: Location, store: EncryptedStore, encryption: Encryption) -> tuple[str, int]:
    session = await asyncio.to_thread(open_session, location, "state rotate-key")
    try:
        key = await asyncio.to_thread(_new_key, store, location.prefix, encryption)
        store.forget_keys()
        sealer = location.sealer(create=True)
        entries: list[Entry] = []
        for r in session.ledger.resources.values():
            attributes = sealer.renew(r.attributes)
            if attributes is not r.attributes:
                entries.append(Record(resource=replace(r, attributes=attributes)))
        outputs = sealer.renew(session.ledger.outputs)
        if outputs is not session.ledger.outputs:
            entries.append(Outputs(values=outputs, sensitive=session.ledger.sensitive_outputs))
        if entries:
            await session.append(*entries)
        return key, len(entries)
    finally:
        await session.close()


def _new_key(store: Store, prefix: str, encryption: Encryption) -> str:
    old = open_keyring(store, prefix, encryption, create=True)
    blob = store.get(prefix + ENVELOPE)
    if old is None or blob is None:
        raise StateError(Diagnostic(code="state.no_envelope", message=f"{ENVELOPE} vanished while it was read"))
    ring = fresh_keyring(keys=old.keys, older=old.older)
    store.put_if(prefix + ENVELOPE, encode(ring, encryption), blob.version)
    return ring.current


def _encrypt_again(store: EncryptedStore, name: str, key: str, *, whole: bool) -> bool | None:
    """Whether the blob was written anew; None when somebody else was faster."""
    used = store.encrypted_with(name)
    if used is None or used == key or (not used and not (whole and store.is_encryptable(name))):
        return False
    blob = store.get(name)
    if blob is None:
        return False
    try:
        store.put_if(name, blob.data, blob.version)
    except StoreConflict:
        return None
    return True


def _drop_old(store: EncryptedStore, prefix: str, encryption: Encryption, key: str) -> None:
    """Nothing is encrypted with the old keys any more: only their digests' keys stay."""
    blob = store.get(prefix + ENVELOPE)
    if blob is None:
        return
    ring = read_keyring(blob, encryption)
    if ring.current != key:
        return  # somebody rotated again meanwhile
    older = {id: digest_key for id, digest_key in ring.digest_keys.items() if id != key}
    store.put_if(prefix + ENVELOPE, encode(Keyring(key, {key: ring.keys[key]}, older), encryption), blob.version)
    store.forget_keys()
