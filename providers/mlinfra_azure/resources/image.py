"""``azure.image``: an image in an Azure Container Registry, pushed by the local Docker engine with a token that the registry gives for ours.

https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
"""

from __future__ import annotations

from typing import Any

from mlinfra.provider.failures import Denied, Transient
from mlinfra.provider.images.login import Login
from mlinfra.provider.images.pushed import PushedImage
from mlinfra_azure import names
from mlinfra_azure.client import AzureClient

_NOBODY = "00000000-0000-0000-0000-000000000000"
"""The user's name that goes with a refresh token."""


class Image(PushedImage):
    """A token of Entra's is exchanged for one of the registry's, which is the password of ``docker login``."""

    def login(self, client: AzureClient, repository: str) -> Login:
        host, _, name = repository.partition("/")
        host = client.config.endpoints.get("registry") or host
        plain = host.partition(":")[0] in ("127.0.0.1", "localhost")
        address = f"{'http' if plain else 'https'}://{host}/oauth2/exchange"
        given = {
            "grant_type": "access_token",
            "service": host,
            "access_token": client.token_now(f"{names.address(client.settings, 'arm')}/.default"),
        }
        return Login(repository=f"{host}/{name}", username=_NOBODY, password=_exchanged(address, given), plain=plain)


def _exchanged(address: str, given: dict[str, Any]) -> str:
    import httpx

    try:
        answer = httpx.post(address, data=given, timeout=60)
    except httpx.HTTPError as error:
        raise Transient(f"the registry cannot be reached at {address}: {type(error).__name__}") from error
    if answer.status_code in (401, 403):
        raise Denied(
            f"the registry lets nobody in with this sign-in: HTTP {answer.status_code}",
            hint="pushing needs a role of its own on the registry: AcrPush",
        )
    if answer.status_code >= 400:
        raise Transient(f"the registry gives no token at {address}: HTTP {answer.status_code}")
    return str(answer.json()["refresh_token"])
