"""What may be written of a secret: a keyed digest. The key lies beside the state (0600), never inside it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping

from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Secret, SecretDigest, Value, is_known, reveal, thaw, transform
from mlinfra.state.store import Store, StoreConflict

KEY = "secret.key"


class Sealer:
    """Turns Secrets into SecretDigests with a key that only this state's users have."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, value: Value) -> SecretDigest:
        text = json.dumps(thaw(value), sort_keys=True, default=repr)
        return SecretDigest(hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest())

    def seal(self, value: Value) -> Value:
        """The tree with every Secret replaced by its digest."""
        return transform(value, lambda leaf: self.digest(leaf.reveal()) if isinstance(leaf, Secret) else leaf)

    def seal_attributes(self, attributes: Map, schema: Schema) -> Map:
        """Sealed, and whole attributes that the schema calls sensitive reduced to their digest."""
        sealed: Map = self.seal(attributes)
        hidden = {
            name: self.digest(reveal(attributes[name]))
            for name in sensitive_names(schema.attributes)
            if name in sealed and sealed[name] is not None and not isinstance(sealed[name], SecretDigest)
            and is_known(sealed[name])
        }  # fmt: skip
        return Map({**sealed, **hidden}) if hidden else sealed


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


def load_key(store: Store, prefix: str, *, create: bool) -> bytes:
    """The state's key; made on first need when ``create``, else a key of this process alone (nothing is written)."""
    found = store.get(prefix + KEY)
    if found is None and create:
        fresh = secrets.token_bytes(32)
        try:
            store.put_if(prefix + KEY, fresh, None)
            return fresh
        except StoreConflict:
            found = store.get(prefix + KEY)
    return found.data if found else secrets.token_bytes(32)
