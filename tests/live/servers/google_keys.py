"""Google's Cloud KMS and Secret Manager as published: OAuth2 tokens for a service account, `:encrypt` and `:decrypt` with
authenticated data, `:access` of a secret's version. Keys live in this process; what has no token, or the wrong shape, is refused.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fakes.serving import Handler, served

KEY = r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/:]+"
SECRET = r"(projects/[^/]+/secrets/[^/]+)/versions/(latest|\d+)"


@dataclass
class Google:
    """``secrets``: by name, its versions in order. ``calls``: every path that was asked for."""

    address: str = ""
    secrets: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def environment(self, folder: Path) -> dict[str, str]:
        """The variables with which Google's own chain finds a service account, and our client these addresses."""
        pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": pem.decode(),
            "client_email": "ci@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": f"{self.address}/token",
        }  # fmt: skip
        file = folder / "service-account.json"
        file.write_text(json.dumps(account))
        return {
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": self.address,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": self.address,
        }


class Refused(Exception):
    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@contextmanager
def google_keys() -> Iterator[Google]:
    """A server on a free port, for as long as the block lasts."""
    google = Google()

    class Answers(Handler):
        def answer(self) -> None:
            body = self.whole_body()
            google.calls.append(self.path)
            try:
                code, tree = 200, _token(google, body) if self.path == "/token" else self.api(self.command, body)
            except Refused as refused:
                code = refused.code
                tree = {"error": {"code": code, "status": refused.status, "message": str(refused)}}
            self.reply(code, json.dumps(tree).encode(), {"Content-Type": "application/json"})

        do_GET = do_POST = answer

        def api(self, method: str, body: bytes) -> dict[str, Any]:
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in google.tokens:
                raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            if found := re.fullmatch(rf"/v1/({KEY}):(encrypt|decrypt)", self.path):
                if method != "POST":
                    raise Refused(404, "NOT_FOUND", "no such method")
                return _crypt(google, found[1], found[2], json.loads(body))
            if found := re.fullmatch(rf"/v1/{SECRET}:access", self.path):
                versions = google.secrets.get(found[1], [])
                number = len(versions) if found[2] == "latest" else int(found[2])
                if method != "GET" or not 1 <= number <= len(versions):
                    raise Refused(404, "NOT_FOUND", f"Secret Version [{found[1]}/versions/{found[2]}] not found.")
                data = base64.b64encode(versions[number - 1].encode()).decode()
                return {"name": f"{found[1]}/versions/{number}", "payload": {"data": data}}
            raise Refused(404, "NOT_FOUND", f"no such method: {self.path}")

    with served(Answers) as google.address:
        yield google


def _token(google: Google, body: bytes) -> dict[str, Any]:
    given = urllib.parse.parse_qs(body.decode())
    if given.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"] or not given.get("assertion"):
        raise Refused(400, "INVALID_ARGUMENT", "invalid_grant")
    token = uuid.uuid4().hex
    google.tokens.add(token)
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600}


def _crypt(google: Google, key: str, operation: str, body: dict[str, Any]) -> dict[str, Any]:
    allowed = {"plaintext", "ciphertext", "additionalAuthenticatedData"}
    if set(body) - allowed:
        raise Refused(400, "INVALID_ARGUMENT", f"Invalid JSON payload: unknown name {sorted(set(body) - allowed)[0]}")
    secret = google.keys.get(key)
    if secret is None:
        raise Refused(404, "NOT_FOUND", f"CryptoKey {key} not found.")
    associated = base64.b64decode(body.get("additionalAuthenticatedData", ""))
    if operation == "encrypt":
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(secret).encrypt(nonce, base64.b64decode(body["plaintext"], validate=True), associated)
        return {"name": f"{key}/cryptoKeyVersions/1", "ciphertext": base64.b64encode(sealed).decode()}
    sealed = base64.b64decode(body["ciphertext"], validate=True)
    try:
        opened = AESGCM(secret).decrypt(sealed[:12], sealed[12:], associated)
    except InvalidTag:
        raise Refused(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.") from None
    return {"plaintext": base64.b64encode(opened).decode()}
