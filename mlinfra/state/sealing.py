"""What may be written of a secret: a keyed digest, and beside it the value itself, encrypted, where the state is.

Without ``state.encryption`` the digests' key lies beside the state (``secret.key``, 0600), never inside it; with it, it is
derived from the state's data key (see :mod:`mlinfra.state.encryption`). A digest names the key that made it, so that those
made before encryption was configured, or before the key was rotated, are still compared.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import (
    Expr,
    Map,
    Sealed,
    Secret,
    SecretDigest,
    SecretRef,
    Value,
    holds,
    is_known,
    reveal,
    thaw,
    transform,
)
from mlinfra.state.store import Store, StoreConflict

if TYPE_CHECKING:
    from mlinfra.state.encryption.keyring import Keyring
    from mlinfra.state.encryption.sources import Encryption

KEY = "secret.key"
ENVELOPE = "key.json"
"""The wrapped data key of an encrypted state."""


class Sealer:
    """Turns Secrets into what may be written. ``keys`` are the digests' keys by id, ``current`` the id that new ones get;
    ``keyring`` encrypts, where the state has one."""

    def __init__(self, key: bytes, *, keys: Mapping[str, bytes] | None = None, keyring: Keyring | None = None) -> None:
        self._key = key
        self._current = keyring.current if keyring is not None else ""
        self._keys = {**(keys or {}), self._current: key}
        self._keyring = keyring

    @property
    def encrypts(self) -> bool:
        """Whether computed secrets are kept, so that they can be read again."""
        return self._keyring is not None

    def digest(self, value: Value) -> SecretDigest:
        """The digest of ``value`` by the newest key."""
        return SecretDigest(self._text(value, self._current))

    def _text(self, value: Value, key: str) -> str:
        text = json.dumps(thaw(value), sort_keys=True, default=repr)
        found = hmac.new(self._keys[key], text.encode(), hashlib.sha256).hexdigest()
        return f"{key}.{found}" if key else found

    def fits(self, digest: SecretDigest, value: Value) -> bool:
        """Whether ``digest``, by whatever key it was made, is that of ``value``."""
        key = digest.digest.rpartition(".")[0]
        return key in self._keys and hmac.compare_digest(self._text(value, key), digest.digest)

    def seal(self, value: Value) -> Value:
        """The tree with every Secret replaced by its digest, or by the place where it is to be fetched."""
        return transform(value, self._sealed_leaf) if holds(value, Secret) else value

    def _sealed_leaf(self, leaf: Value) -> Value:
        if isinstance(leaf, Secret):
            inner = leaf.reveal()
            return inner if isinstance(inner, SecretRef) else self.digest(inner)
        if isinstance(leaf, Expr):
            bindings = tuple([(path, self.seal(bound)) for path, bound in leaf.bindings])
            return (
                leaf
                if all(a is b for (_, a), (_, b) in zip(bindings, leaf.bindings, strict=True))
                else Expr(leaf.source, bindings)
            )
        return leaf

    def keep(self, value: Value) -> Value:
        """The tree with every Secret encrypted, so that :meth:`open` gives it back; by its digest where nothing encrypts."""
        return transform(value, lambda leaf: self._kept(reveal(leaf)) if isinstance(leaf, Secret) else leaf)

    def _kept(self, value: Value) -> SecretDigest:
        digest = self.digest(value)
        if self._keyring is None or not is_known(value):
            return digest
        return Sealed(digest.digest, self._keyring.encrypt_value(json.dumps(thaw(value)), digest.digest))

    def open(self, value: Value) -> Value:
        """The tree with everything that :meth:`keep` encrypted as Secrets again; digests stay. StateError with another key."""
        return value if self._keyring is None else transform(value, self._opened)

    def _opened(self, leaf: Value) -> Value:
        if not isinstance(leaf, Sealed) or self._keyring is None:
            return leaf
        from mlinfra.model.values import freeze

        return Secret(freeze(json.loads(self._keyring.decrypt_value(leaf.ciphertext, leaf.digest))))

    def renew(self, value: Value) -> Value:
        """The tree with everything that is encrypted, encrypted with today's key."""
        return transform(value, lambda leaf: self._kept(reveal(self._opened(leaf))) if isinstance(leaf, Sealed) else leaf)

    def seal_attributes(self, attributes: Map, schema: Schema, inputs: Collection[str] | None = None) -> Map:
        """Sealed, and whole attributes that the schema calls sensitive reduced to their digest. What is not among ``inputs``
        was computed: nobody can give it a second time, so it is kept encrypted where the state is."""
        sealed: dict[str, Value] = {}
        changed = False
        secrets = holds(attributes, Secret)
        for name, value in attributes.items():
            computed = self._keyring is not None and inputs is not None and name not in inputs
            attribute = schema.attributes.get(name)
            written = value if not secrets else self.keep(value) if computed else self.seal(value)
            if (
                attribute is not None
                and attribute.sensitive
                and written is not None
                and not isinstance(written, (SecretDigest, SecretRef))
                and is_known(written)
            ):
                whole = reveal(self.open(value))
                written = self._kept(whole) if computed else self.digest(whole)
            changed = changed or written is not value
            sealed[name] = written
        return Map(sealed) if changed else attributes


def sensitive_names(attributes: Mapping[str, Attribute]) -> list[str]:
    return [name for name, a in attributes.items() if a.sensitive]


def veil(attributes: Map, schema: Schema) -> Map:
    """Attributes as a provider gave them, with the sensitive ones wrapped into Secret (for use in memory only)."""
    hidden = {
        name: Secret(attributes[name])
        for name in sensitive_names(schema.attributes)
        if attributes.get(name) is not None and not isinstance(attributes[name], (Secret, SecretDigest))
    }
    return Map({**attributes, **hidden}) if hidden else attributes


def open_sealer(store: Store, prefix: str, encryption: Encryption | None, *, create: bool) -> Sealer:
    """The sealer of a state. ``create`` makes its keys on first need. StateError when the state is encrypted and
    ``encryption`` is missing or has another key."""
    if encryption is not None:
        from mlinfra.state.encryption.keyring import open_keyring

        keyring = open_keyring(store, prefix, encryption, create=create)
        if keyring is not None:
            return Sealer(keyring.digest_key, keys=keyring.digest_keys, keyring=keyring)
    return Sealer(load_key(store, prefix, create=create))


def load_key(store: Store, prefix: str, *, create: bool) -> bytes:
    """The state's key; made on first need when ``create``, else a key of this process alone (nothing is written)."""
    found = store.get(prefix + KEY)
    if found is not None:
        return found.data
    if store.get(prefix + ENVELOPE) is not None:
        raise no_encryption()
    fresh = os.urandom(32)
    if create:
        try:
            store.put_if(prefix + KEY, fresh, None)
        except StoreConflict:
            found = store.get(prefix + KEY)
            return found.data if found else fresh
    return fresh


def no_encryption() -> StateError:
    """The error of whoever meets an encrypted state without ``state.encryption``."""
    return StateError(
        Diagnostic(
            code="state.encrypted",
            message="this state is encrypted, and the spec's state block has no encryption",
            hint="restore it: state: {encryption: {key: …}}, with the key that the state was written with",
        )
    )
