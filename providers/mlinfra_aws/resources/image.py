"""``aws.image``: an image in an ECR repository, pushed by the local Docker engine with a token of ECR's."""

from __future__ import annotations

import base64

from mlinfra.provider.failures import NotFound
from mlinfra.provider.images.login import Login
from mlinfra.provider.images.pushed import PushedImage
from mlinfra_aws.client import Aws

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Image(PushedImage):
    """The token of ``ecr:GetAuthorizationToken`` holds for 12 hours and for every repository of the account."""

    def login(self, client: Aws, repository: str) -> Login:
        told = client.insist("ecr", "GetAuthorizationToken")["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(told).decode().partition(":")
        host, _, name = repository.partition("/")
        host = client.config.registry or host
        plain = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
        return Login(repository=f"{host}/{name}", username=user, password=password, plain=plain)

    def untag(self, client: Aws, login: Login, digest: str, tags: tuple[str, ...]) -> None:
        """ECR takes no DELETE of a manifest: its own operation takes tags away, and an image with its last tag."""
        if client.config.registry is not None:
            super().untag(client, login, digest, tags)
            return
        try:
            client.insist("ecr", "BatchDeleteImage", repositoryName=login.name, imageIds=[{"imageTag": tag} for tag in tags])
        except NotFound:  # the repository is gone, with all that was in it
            return


IMAGE = Image()
