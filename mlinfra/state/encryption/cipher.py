"""AES-256-GCM and key derivation, from ``cryptography`` (imported on first use).

Every ciphertext begins with the id of its data key (8 bytes) and a random nonce (12 bytes). With random nonces one key may
encrypt 2^32 messages (NIST SP 800-38D, 8.3); every purpose has a key of its own, derived by HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError

KEY_SIZE = 32
ID_SIZE = 8
NONCE_SIZE = 12


class Forged(Exception):
    """A ciphertext that was altered, or made with another key or for another place."""


def derive(key: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose: HKDF-SHA256 without salt, which a uniformly random ``key`` does not need."""
    extracted = hmac.new(bytes(hashlib.sha256().digest_size), key, hashlib.sha256).digest()
    return hmac.new(extracted, f"mlinfra {purpose}".encode() + b"\x01", hashlib.sha256).digest()


def encrypt(key: bytes, data: bytes, place: bytes) -> bytes:
    """Nonce and ciphertext. ``place`` is authenticated: elsewhere it does not decrypt."""
    nonce = os.urandom(NONCE_SIZE)
    sealed: bytes = _aesgcm(key).encrypt(nonce, data, place)
    return nonce + sealed


def decrypt(key: bytes, data: bytes, place: bytes) -> bytes:
    """What :func:`encrypt` was given. Forged when it was altered, or ``key`` or ``place`` are others."""
    from cryptography.exceptions import InvalidTag

    if len(data) < NONCE_SIZE + 16:
        raise Forged
    try:
        opened: bytes = _aesgcm(key).decrypt(data[:NONCE_SIZE], data[NONCE_SIZE:], place)
    except InvalidTag:
        raise Forged from None
    return opened


def _aesgcm(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise StateError(
            Diagnostic(
                code="state.missing_dependency",
                message="state.encryption needs the package cryptography, which is not installed",
                hint="pip install 'mlinfra-iac[encryption]'",
            )
        ) from None
    return AESGCM(key)
