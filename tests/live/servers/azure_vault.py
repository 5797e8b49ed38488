"""Azure Key Vault as published: tokens of a tenant's own authority over https, keys that wrap by RSA-OAEP-256, secrets.

https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key, …/unwrap-key, https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fakes import entra
from fakes.serving import Handler, served

VERSION = "0123456789abcdef0123456789abcdef"
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


@dataclass
class Vault:
    """``certificate`` is what clients must trust."""

    certificate: Path
    address: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    authority: entra.Authority = field(default_factory=entra.Authority)
    calls: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which azure-identity's own chain finds the app and its authority."""
        return entra.environment(self.address, self.certificate)

    def make_key(self, name: str) -> str:
        self.keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return f"{self.address}/keys/{name}"


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@contextmanager
def azure_vault(folder: Path) -> Iterator[Vault]:
    """A vault and its authority on a free port, with a certificate of its own, for as long as the block lasts."""
    certificate, key = entra.certificate(folder)
    vault = Vault(certificate)

    class Answers(Handler):
        def answer(self) -> None:
            body, url = self.whole_body(), urllib.parse.urlsplit(self.path)
            vault.calls.append(f"{self.command} {url.path}")
            try:
                status, tree = 200, _answer(vault, self.command, url, self.headers.get("Authorization", ""), body)
            except Refused as refused:
                status, tree = refused.status, {"error": {"code": refused.code, "message": str(refused)}}
            challenge = f'Bearer authorization="{vault.address}/{entra.TENANT}", resource="https://vault.azure.net"'
            headers = {"WWW-Authenticate": challenge} if status == 401 else {}
            self.reply(status, json.dumps(tree).encode(), {"Content-Type": "application/json", **headers})

        do_GET = do_POST = answer

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with served(Answers, tls=context) as vault.address:
        yield vault


def _answer(vault: Vault, method: str, url: urllib.parse.SplitResult, authorization: str, body: bytes) -> dict[str, Any]:
    if url.path.startswith(f"/{entra.TENANT}/"):
        try:
            return vault.authority.answer(vault.address, url.path, body)
        except entra.NoToken as refused:
            raise Refused(401, "invalid_client", str(refused)) from None
    if vault.authority.audience(authorization) != "https://vault.azure.net":
        raise Refused(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
    if "api-version" not in urllib.parse.parse_qs(url.query):
        raise Refused(400, "BadParameter", "api-version must be specified")
    if method == "GET" and (found := re.fullmatch(r"/secrets/([A-Za-z0-9-]+)(?:/[0-9a-f]+)?", url.path)):
        if found[1] not in vault.secrets:
            raise Refused(404, "SecretNotFound", f"A secret with (name/id) {found[1]} was not found in this key vault.")
        return {"value": vault.secrets[found[1]], "id": f"{vault.address}/secrets/{found[1]}/{VERSION}"}
    if found := re.fullmatch(rf"/keys/([A-Za-z0-9-]+)(?:/{VERSION})?(?:/(wrapkey|unwrapkey))?", url.path):
        key = vault.keys.get(found[1])
        if key is None:
            raise Refused(404, "KeyNotFound", f"A key with (name/id) {found[1]} was not found in this key vault.")
        kid = f"{vault.address}/keys/{found[1]}/{VERSION}"
        if found[2] is None and method == "GET":
            return {"key": {"kid": kid, "kty": "RSA", "key_ops": ["wrapKey", "unwrapKey"]}}
        given = json.loads(body or b"{}")
        if method != "POST" or f"/{VERSION}/" not in url.path or given.get("alg") != "RSA-OAEP-256":
            raise Refused(400, "BadParameter", "a version and the algorithm RSA-OAEP-256 are expected here")
        value = base64.urlsafe_b64decode(given["value"] + "=" * (-len(given["value"]) % 4))
        try:
            done = key.public_key().encrypt(value, _OAEP) if found[2] == "wrapkey" else key.decrypt(value, _OAEP)
        except ValueError:
            raise Refused(400, "BadParameter", "The parameter is incorrect.") from None
        return {"kid": kid, "value": base64.urlsafe_b64encode(done).rstrip(b"=").decode()}
    raise Refused(404, "NotFound", url.path)
