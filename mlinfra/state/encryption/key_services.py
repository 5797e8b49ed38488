"""Keys that never leave their service: AWS KMS, Google Cloud KMS, Azure Key Vault. They wrap the state's data key for us."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.state.cloud_access import CloudRefused, aws_call, azure_call, google_call
from mlinfra.state.encryption.sources import KeySource

T = TypeVar("T")

_CONTEXT = "mlinfra state data key"
"""Authenticated by AWS and Google, and shown in their audit logs: what else the key wraps cannot be passed off as ours."""
_AZURE_ALGORITHM = "RSA-OAEP-256"


def wrap(source: KeySource, key: bytes) -> Mapping[str, str]:
    """The wrapped key as it is stored. StateError when the service cannot or will not."""
    return _asked(source, lambda: _WRAP[source.scheme](source.where, key))


def unwrap(source: KeySource, wrapped: Mapping[str, str]) -> bytes:
    """The key again; the service is asked once a process. StateError when it cannot or will not."""
    return _unwrapped(source, tuple(sorted(wrapped.items())))


@lru_cache(maxsize=64)
def _unwrapped(source: KeySource, wrapped: tuple[tuple[str, str], ...]) -> bytes:
    return _asked(source, lambda: _UNWRAP[source.scheme](source.where, dict(wrapped)))


def _asked(source: KeySource, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except CloudRefused as error:
        raise StateError(
            Diagnostic(
                code="state.key_service", message=f"the state's key {source} cannot be used: {error.message}", hint=error.hint
            )
        ) from None


def _aws_wrap(where: str, key: bytes) -> Mapping[str, str]:
    answer = aws_call("kms", "encrypt", where, KeyId=where, Plaintext=key, EncryptionContext={"for": _CONTEXT})
    return {"wrapped": _text(answer["CiphertextBlob"]), "used": str(answer["KeyId"])}


def _aws_unwrap(where: str, wrapped: Mapping[str, str]) -> bytes:
    answer = aws_call(
        "kms", "decrypt", where, KeyId=where, CiphertextBlob=_bytes(wrapped["wrapped"]), EncryptionContext={"for": _CONTEXT}
    )
    return bytes(answer["Plaintext"])


def _google_wrap(where: str, key: bytes) -> Mapping[str, str]:
    body = {"plaintext": _text(key), "additionalAuthenticatedData": _text(_CONTEXT.encode())}
    answer = google_call("cloudkms", "POST", f"{where}:encrypt", body)
    return {"wrapped": str(answer["ciphertext"]), "used": str(answer.get("name", where))}


def _google_unwrap(where: str, wrapped: Mapping[str, str]) -> bytes:
    body = {"ciphertext": wrapped["wrapped"], "additionalAuthenticatedData": _text(_CONTEXT.encode())}
    return _bytes(str(google_call("cloudkms", "POST", f"{where}:decrypt", body)["plaintext"]))


def _azure_wrap(where: str, key: bytes) -> Mapping[str, str]:
    version = str(azure_call("GET", where)["key"]["kid"])
    answer = azure_call("POST", f"{version}/wrapkey", {"alg": _AZURE_ALGORITHM, "value": _url_text(key)})
    return {"wrapped": str(answer["value"]), "used": str(answer["kid"])}


def _azure_unwrap(where: str, wrapped: Mapping[str, str]) -> bytes:
    version = wrapped["used"]
    if not version.startswith(where.rstrip("/") + "/") and version != where:
        raise CloudRefused(f"the state's data key was wrapped by {version}", "list that key under state.encryption.previous")
    answer = azure_call("POST", f"{version}/unwrapkey", {"alg": _AZURE_ALGORITHM, "value": wrapped["wrapped"]})
    value = str(answer["value"])
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _url_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_WRAP: Mapping[str, Callable[[str, bytes], Mapping[str, str]]] = {
    "awskms": _aws_wrap, "gcpkms": _google_wrap, "azurekv": _azure_wrap,
}  # fmt: skip
_UNWRAP: Mapping[str, Callable[[str, Mapping[str, str]], bytes]] = {
    "awskms": _aws_unwrap, "gcpkms": _google_unwrap, "azurekv": _azure_unwrap,
}  # fmt: skip
