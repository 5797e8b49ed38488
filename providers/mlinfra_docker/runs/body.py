"""What a run's container is made of: mounts, variables, limits, and the files that are copied into it."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlinfra.model.values import Secret
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.files import SelectedFile
from mlinfra.provider.runs.words import variable
from mlinfra_docker import volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.inside import translator
from mlinfra_docker.volumes import mount

if TYPE_CHECKING:
    from mlinfra_docker.runs.run import RunRequest

CODE = "/mlinfra/code"
INPUTS = "/mlinfra/inputs"
VOLUMES = "/mlinfra/volumes"
OUTPUTS = "/mlinfra/outputs"
_NAMED = f"{volumes.SCHEME}://"


@dataclass(frozen=True, slots=True)
class Limits:
    """``memory`` in bytes and ``cpus`` in cores, 0 for none; ``gpus`` how many."""

    memory: int = 0
    cpus: float = 0
    gpus: int = 0

    def host_config(self, client: DockerClient) -> dict[str, Any]:
        """As ``HostConfig`` says it; the settings' defaults where nothing is asked for."""
        memory = self.memory or client.config.limits.memory or 0
        cpus = self.cpus or client.config.limits.cpus or 0
        asked: dict[str, Any] = {}
        if memory:
            asked |= {"Memory": int(memory), "MemorySwap": int(memory)}
        if cpus:
            asked["NanoCpus"] = int(cpus * 1e9)
        if self.gpus:
            asked["DeviceRequests"] = [{"Driver": "", "Count": self.gpus, "Capabilities": [["gpu"]]}]
        return asked


def body_of(
    client: DockerClient,
    request: RunRequest,
    command: Sequence[str],
    ranked: Mapping[str, str],
    scratch: str,
    marks: Mapping[str, str],
) -> dict[str, Any]:
    """The body of ``POST /containers/create``. ``scratch`` is the path in the run's volume that it writes below.

    NotFound when a volume or place that an input names is gone."""
    inside = translator(client)
    environment = {"PYTHONUNBUFFERED": "1", **ranked}
    mounts = {request.volume: mount(request.volume, OUTPUTS)}
    read: dict[str, Mapping[str, Any]] = {}
    for name, value in request.inputs.items():
        shown = value
        if value.startswith(_NAMED):
            volume, path = volumes.place(value)
            read[volume] = mount(volume, f"{VOLUMES}/{volume}", read_only=True)
            shown = f"{VOLUMES}/{volume}/{path}".rstrip("/")
            _check(client, name, value)
        elif "://" not in value:
            shown = f"{INPUTS}/{name}/{value.rstrip('/').rpartition('/')[2]}"
        else:
            shown = inside(value)
        environment[variable("INPUT", name)] = shown
    for name in request.outputs:
        environment[variable("OUTPUT", name)] = f"{OUTPUTS}/{scratch}/{name}"
    for name, given in request.environment.items():
        text = str(given.reveal()) if isinstance(given, Secret) else given
        environment[name] = inside(text)
    return {
        "Image": request.image,
        "Cmd": [inside(word) for word in command],
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "WorkingDir": CODE,
        "Labels": dict(marks),
        "HostConfig": {
            "NetworkMode": client.network,
            "Mounts": [*mounts.values(), *read.values()],
            **request.limits.host_config(client),
        },
    }


def _check(client: DockerClient, name: str, uri: str) -> None:
    volume, path = volumes.place(uri)
    try:
        there = volumes.helper(client, volume).run('[ -e "$1" ] || echo gone', f"{volumes.MOUNTED}/{volume}/{path}") == ""
    except NotFound:
        there = False
    if not there:
        raise Invalid(f"the input {name} is gone: there is no {uri}")


Archive = Callable[[], "bytes | Iterator[bytes]"]
"""Gives a tar for a container's root, anew at every call."""


def code_archive(code: Sequence[SelectedFile]) -> Archive:
    """The code. Anybody may write there: the image's user need not be root."""
    packed = _tar(CODE, [(f.name, f) for f in code])
    return lambda: packed


def code_files(code: Sequence[SelectedFile]) -> list[tuple[str, Path]]:
    """The code as :meth:`mlinfra_docker.volumes.Helper.put` takes it."""
    return [(file.name, file.path) for file in code]


def input_archives(client: DockerClient, inputs: Mapping[str, str]) -> list[Archive]:
    """Inputs that are files of this machine. Invalid when one cannot be read."""
    found: list[Archive] = []
    for name, value in inputs.items():
        if "://" in value:
            continue
        try:
            selected = files.select(client.base, value)
        except OSError as error:
            raise Invalid(f"the input {name} ({value}) cannot be read: {error.strerror}", path=("inputs", name)) from error
        place = f"{INPUTS}/{name}/{value.rstrip('/').rpartition('/')[2]}".lstrip("/")
        single = (client.base / value).is_file()
        named = [(place if single else f"{place}/{f.name}", f.path) for f in selected]
        found.append(lambda named=named: volumes.tar_stream(named))  # type: ignore[misc]
    return found


def _tar(root: str, given: Iterable[tuple[str, SelectedFile]]) -> bytes:
    buffer = io.BytesIO()
    now = int(time.time())
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        made: set[str] = set()

        def folder(path: str) -> None:
            if path and path not in made:
                folder(path.rpartition("/")[0])
                made.add(path)
                entry = tarfile.TarInfo(path)
                entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o777 if path.startswith(root.lstrip("/")) else 0o755, now
                tar.addfile(entry)

        folder(root.lstrip("/"))
        for name, file in given:
            path = f"{root}/{name}".lstrip("/")
            folder(path.rpartition("/")[0])
            content = file.path.read_bytes()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime = len(content), now
            entry.mode = 0o777 if file.path.stat().st_mode & 0o100 else 0o666
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
