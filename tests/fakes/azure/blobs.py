"""Blobs of the tests' Azure: containers made through ARM are containers of a real Azurite, over https, with tokens of the same authority."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from live.servers.azurite import azurite

from fakes.azure.server import Azure


@contextmanager
def blobs_of(state: Azure) -> Iterator[None]:
    """Every storage account of ``state`` is this one Azurite account for as long as the block lasts."""
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
    from azure.storage.blob import BlobServiceClient

    with (
        azurite(tls=(state.certificate, state.key)) as connection,
        BlobServiceClient.from_connection_string(connection, connection_verify=str(state.certificate)) as service,
    ):

        def changed(name: str, made: bool) -> None:
            try:
                (service.create_container if made else service.delete_container)(name)
            except (ResourceExistsError, ResourceNotFoundError):
                return

        state.blob_endpoint = service.url.rstrip("/")
        state.container_changed = changed
        yield
