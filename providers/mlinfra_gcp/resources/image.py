"""``gcp.image``: an image in a repository of Artifact Registry, pushed by the local Docker engine with an access token.

https://cloud.google.com/artifact-registry/docs/docker/authentication#token
"""

from __future__ import annotations

from contextlib import suppress

from mlinfra.model.resource import ResourceState
from mlinfra.provider.failures import NotFound
from mlinfra.provider.images.login import Login
from mlinfra.provider.images.pushed import PushedImage
from mlinfra.provider.progress import say
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.operations import finished

_DOC = "artifactregistry.v1"
_PACKAGES = "projects.locations.repositories.packages"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Image(PushedImage):
    """Its repository is ``LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE``."""

    def login(self, client: GcpClient, repository: str) -> Login:
        host, _, name = repository.partition("/")
        host = client.config.registry or host
        plain = host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK
        return Login(repository=f"{host}/{name}", username="oauth2accesstoken", password=client.access_token(), plain=plain)

    async def delete(self, client: GcpClient, recorded: ResourceState) -> None:
        """Its tags go, and with the last one that names it the image: Artifact Registry deletes no tagged manifest, so that its own
        API does it."""
        if client.config.registry is not None:  # whatever stands there has the registries' common API alone
            await super().delete(client, recorded)
            return
        known = recorded.attributes
        package = _package(str(known["repository"]))
        for tag in (known["tag"], known["mark"]):
            with suppress(NotFound):
                await client.call(_DOC, f"{_PACKAGES}.tags.delete", {"name": f"{package}/tags/{tag}"})
        version = f"{package}/versions/{known['digest']}"
        with suppress(NotFound):
            asked = {"parent": package, "filter": f'version="{version}"'}
            others = [
                str(tag["name"]).rpartition("/")[2] async for tag in client.pages(_DOC, f"{_PACKAGES}.tags.list", asked, "tags")
            ]
            if others:
                say(f"{str(known['digest'])[:19]} stays: {', '.join(others[:3])} name it too")
                return
            answer = await client.call(_DOC, f"{_PACKAGES}.versions.delete", {"name": version})
            await finished(client, _DOC, answer, what=f"deleting the image {str(known['digest'])[:19]}")


def _package(repository: str) -> str:
    """The resource name of what Artifact Registry calls a package: ``us-docker.pkg.dev/acme/serve/image`` is
    ``projects/acme/locations/us/repositories/serve/packages/image``. Projects of a domain have two steps."""
    host, *project, name, image = repository.split("/")
    location = host.removesuffix("-docker.pkg.dev")
    return f"projects/{':'.join(project)}/locations/{location}/repositories/{name}/packages/{image}"
