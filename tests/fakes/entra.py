"""Microsoft Entra as far as an app with a secret needs it: a tenant's authority that hands out tokens, and a certificate for https.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import time
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

import pytest

TENANT, CLIENT, CLIENT_SECRET = "11111111-2222-3333-4444-555555555555", "app", "client-secret-of-the-app"


class NoToken(Exception):
    """The authority gives none."""


class Authority:
    """Hands out tokens and remembers for whom each is. They are JWTs as far as servers read them without a key: Azurite does."""

    def __init__(self) -> None:
        self._audiences: dict[str, str] = {}

    def answer(self, address: str, path: str, body: bytes) -> dict[str, Any]:
        """One request below ``/TENANT/``. NoToken when the app is not the one it says it is."""
        base = f"{address}/{TENANT}"
        if path.endswith("/openid-configuration"):
            return {
                "issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            }  # fmt: skip
        given = urllib.parse.parse_qs(body.decode())
        wanted = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "grant_type": "client_credentials"}
        scopes = [s for s in given.get("scope", [""])[0].split() if s.endswith("/.default")]
        if any(given.get(k) != [v] for k, v in wanted.items()) or not scopes:
            raise NoToken("AADSTS7000215: Invalid client secret provided.")
        audience = scopes[0].removesuffix("/.default")
        token = _jwt(audience)
        self._audiences[token] = audience
        return {"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": token}

    def audience(self, authorization: str) -> str:
        """For whom the token of a header is; nothing for one that was not given out here."""
        return self._audiences.get(authorization.removeprefix("Bearer "), "")


def _jwt(audience: str) -> str:
    now = int(time.time())
    claims = {
        "aud": audience, "iss": f"https://sts.windows.net/{TENANT}/", "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
        "tid": TENANT, "appid": CLIENT, "jti": uuid.uuid4().hex,
    }  # fmt: skip
    parts = ({"typ": "JWT", "alg": "RS256", "kid": "1"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts), "c2lnbmVk"])


def environment(address: str, certificate: Path) -> dict[str, str]:
    """The variables with which azure-identity's own chain finds the app and its authority."""
    return {
        "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": CLIENT_SECRET, "AZURE_AUTHORITY_HOST": address,
        "REQUESTS_CA_BUNDLE": str(certificate),
    }  # fmt: skip


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key, as files."""
    x509 = pytest.importorskip("cryptography.x509")
    hazmat = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "entra.pem", folder / "entra.key"
    public.write_bytes(made.public_bytes(hazmat.Encoding.PEM))
    private.write_bytes(key.private_bytes(hazmat.Encoding.PEM, hazmat.PrivateFormat.PKCS8, hazmat.NoEncryption()))
    return public, private
