"""Keys that are at hand: in an environment variable or a file. 32 bytes in base64 or hex, or a passphrase."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.state.encryption.cipher import KEY_SIZE
from mlinfra.state.encryption.sources import KeySource

SHORTEST_PASSPHRASE = 12
SCRYPT = (2**15, 8, 1)
"""N, r, p: 32 MiB and some 100 ms (RFC 7914; OWASP's password storage cheat sheet)."""
SALT_SIZE = 16


def key_of(source: KeySource, salt: bytes, environ: Mapping[str, str] | None = None) -> bytes:
    """The 32 bytes of an ``env`` or ``file`` key; of a passphrase, scrypt's with ``salt``. StateError when there is none."""
    text = _written(source, os.environ if environ is None else environ)
    raw = _raw(text)
    if raw is not None:
        return raw
    if len(text) < SHORTEST_PASSPHRASE:
        raise _refused(
            source,
            f"is too short: neither {KEY_SIZE} bytes in base64 or hex nor a passphrase of {SHORTEST_PASSPHRASE} characters",
            f"make one with: openssl rand -base64 {KEY_SIZE}",
        )
    return _stretched(text, salt)


def _written(source: KeySource, environ: Mapping[str, str]) -> bytes:
    if source.scheme == "env":
        if not environ.get(source.where, "").strip():
            raise _refused(source, "is not set", f"export {source.where}=…")
        return environ[source.where].strip().encode()
    try:
        found = Path(source.where).read_bytes()
    except OSError as error:
        raise _refused(source, f"cannot be read: {error.strerror}", "") from None
    return found if len(found) == KEY_SIZE else found.strip()


def _raw(text: bytes) -> bytes | None:
    if len(text) == KEY_SIZE and not text.isascii():
        return text
    try:
        if len(text) == 2 * KEY_SIZE:
            return binascii.unhexlify(text)
    except binascii.Error:
        pass
    try:
        found = base64.b64decode(text.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == KEY_SIZE else None


@lru_cache(maxsize=16)
def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    n, r, p = SCRYPT
    return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=64 * 2**20, dklen=KEY_SIZE)


def _refused(source: KeySource, what: str, hint: str) -> StateError:
    return StateError(Diagnostic(code="state.no_key", message=f"the state's key {source} {what}", hint=hint))
