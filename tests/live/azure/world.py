"""An Azure to test against: ARM as its published types describe it, blobs in a real Azurite, jobs that really run, a real Milvus."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.azure import Azure, azure
from fakes.azure.work import Refused, Work
from live.servers.azurite import azurite


@dataclass
class World:
    """``azure`` is the ARM server, ``work`` what ran; ``container`` gives a client of a container by its name."""

    azure: Azure
    work: Work
    account: str
    key: str
    url: str

    def container(self, name: str) -> Any:
        from azure.storage.blob import ContainerClient

        return ContainerClient(self.url, name, credential=self.key, connection_verify=str(self.azure.certificate))

    def containers(self) -> list[str]:
        from azure.storage.blob import BlobServiceClient

        service = BlobServiceClient(self.url, credential=self.key, connection_verify=str(self.azure.certificate))
        return sorted(c.name for c in service.list_containers())


@contextmanager
def world(folder: Path) -> Iterator[World]:
    with azure(folder / "arm") as arm, azurite((arm.certificate, arm.key)) as connection:
        said = dict(part.split("=", 1) for part in connection.rstrip(";").split(";"))
        arm.blob_endpoint = said["BlobEndpoint"]
        held = World(arm, None, said["AccountName"], said["AccountKey"], said["BlobEndpoint"])  # type: ignore[arg-type]
        held.work = Work(lambda id: arm.objects.get(id.lower()), lambda _account, name: held.container(name), folder / "work")
        arm.runner = lambda _arm, id, job: ran(held.work, id, job)
        arm.container_changed = lambda name, made: changed(held, name, made)
        arm.signed = lambda url: signed(held, url)
        yield held


def ran(work: Work, id: str, job: dict[str, Any]) -> tuple[str, str]:
    try:
        failure = work.perform(id, job["properties"])
    except Refused as refused:
        failure = f"the service refuses it: {refused}"
    return ("Completed", "") if failure is None else ("Failed", failure)


def changed(held: World, name: str, made: bool) -> None:
    """A container follows its object in ARM."""
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

    with_client = held.container(name)
    try:
        if made:
            with_client.create_container()
        else:
            with_client.delete_container()
    except (ResourceExistsError, ResourceNotFoundError):
        pass


def signed(held: World, url: str) -> str:
    """The container's address with a signature that lets whoever has it write there."""
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    may = ContainerSasPermissions(read=True, write=True, create=True, list=True, delete=True)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    return f"{url}?{generate_container_sas(held.account, url.rpartition('/')[2], account_key=held.key, permission=may, expiry=until)}"


def settings_text(held: World, **more: str) -> str:
    """The settings as a spec's flow mapping, to be put into a file."""
    found = held.azure.settings()
    words = [f"{k}: {_flow(v)}" for k, v in found.items()] + [f"{k}: '{v}'" for k, v in more.items()]
    return "{" + ", ".join(words) + "}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    return f"'{value}'" if isinstance(value, str) and re.search(r"\W", value) else str(value)
