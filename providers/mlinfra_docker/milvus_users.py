"""The first user of a Milvus server: a new one lets in ``root`` with a password that everybody knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlinfra.provider.failures import Denied, Invalid

_EVERYBODY = "root:Milvus"
"""https://milvus.io/docs/authenticate.md: the superuser's password of a new server."""


def let_in(uri: str, token: str) -> None:
    """Have the server take ``user:password``: as root's new password, or as a user with the role ``admin``, root getting the same
    password then. Nothing happens when it takes it already. Denied when neither it nor the first password is taken."""
    user, colon, password = token.partition(":")
    if not colon or not user or len(password) < 6:
        raise Invalid("a token for Milvus in a container is user:password, the password of 6 characters or more", path=("Env",))
    if _takes(uri, token):
        return
    if not _takes(uri, _EVERYBODY):
        raise Denied(
            f"the Milvus server at {uri} takes another password than the token's",
            hint="change the password in Milvus first (update_password), then the token here",
        )
    with _connected(uri, _EVERYBODY) as client:
        if user != "root":
            if user not in client.list_users():
                client.create_user(user, password)
            client.grant_role(user, "admin")
        client.update_password("root", "Milvus", password)


def _takes(uri: str, token: str) -> bool:
    from pymilvus.exceptions import MilvusException

    try:
        with _connected(uri, token) as client:
            client.list_collections()
    except MilvusException:
        return False
    return True


@contextmanager
def _connected(uri: str, token: str) -> Iterator[Any]:
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise Invalid(f"pymilvus cannot be loaded: {error}", hint="pip install 'mlinfra-iac[docker]'") from error
    client = MilvusClient(uri=uri, token=token, dedicated=True)
    try:
        yield client
    finally:
        client.close()
