"""Files inside volumes, through a helper container: the engine may be on another machine, and its volumes are root's anyway.

The helper's only process reads its standard input, which we hold open: when we are gone, however we ended, the engine closes it,
the helper ends, and the engine removes it. What a kill leaves between its creation and its start is swept by the next one.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from mlinfra.provider.failures import Failure, Invalid, NotFound
from mlinfra_docker import containers, labels
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pulling import ensure_image

SCHEME = "docker"
MOUNTED = "/v"
"""Where a helper has its volumes: ``/v/NAME``."""

_CHUNK = 1 << 20
_FOREIGN_AGE = 3600
"""Seconds after which another machine's helper that never started is taken for left behind."""


def uri(volume: str, path: str = "") -> str:
    """``docker://VOLUME/path``: a place in a volume."""
    return f"{SCHEME}://{volume}/{quote(path)}" if path else f"{SCHEME}://{volume}"


def place(text: str) -> tuple[str, str]:
    """(volume, path inside it) of such a URI. Invalid for any other."""
    parts = urlsplit(text)
    path = unquote(parts.path).strip("/")
    if parts.scheme != SCHEME or not parts.netloc or ".." in path.split("/"):
        raise Invalid(f"{text!r} is no place in a volume", hint="the docker target reads docker://VOLUME/… URIs and local paths")
    return parts.netloc, path


class Helper:
    """A running container with the given volumes; ``run`` executes a shell script in it. Made by :func:`helper`."""

    def __init__(self, client: DockerClient, volumes: tuple[str, ...]) -> None:
        self._client = client
        self.volumes = volumes
        self._held: Any = None
        self.id = ""

    def start(self) -> None:
        client = self._client
        for volume in self.volumes:  # the engine would make a missing one, which nobody would ever remove
            if client.optional(f"/volumes/{volume}") is None:
                raise NotFound(f"the engine has no volume {volume}")
        image = client.image("helper")
        ensure_image(client, image)
        sweep(client)
        mounts = [{"Type": "volume", "Source": v, "Target": f"{MOUNTED}/{v}"} for v in self.volumes]
        body = {
            "Image": image,
            "Entrypoint": ["cat"],
            "Cmd": [],
            "User": "0:0",
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": helper_labels(client),
            "HostConfig": {"AutoRemove": True, "NetworkMode": "none", "Mounts": mounts},
        }
        self.id = str(client.post("/containers/create", body)["Id"])
        try:
            self._held = client.hold(self.id)
            client.post(f"/containers/{self.id}/start")
        except Failure as failure:
            containers.remove_quietly(client, self.id)
            raise Invalid(
                f"the image {image} cannot help with volumes: {failure.message}", hint="it must have cat and sh"
            ) from failure
        client.closing.append(self.stop)

    def stop(self) -> None:
        """End it, and wait until it is gone: a volume that it holds cannot be removed."""
        if self._held is not None:
            with suppress(OSError):
                self._held.close()
        containers.remove_quietly(self._client, self.id)

    def alive(self) -> bool:
        seen = self._client.optional(f"/containers/{self.id}/json")
        return bool(seen and seen["State"]["Running"])

    def run(self, script: str, *args: str) -> str:
        """Run a shell script with ``$1``…; its stdout. Failure, with stderr, when it ends with another code than 0."""
        code, out, err = self._client.execute(self.id, ["sh", "-euc", script, "sh", *args])
        if code:
            raise Failure(
                f"a step inside the volume {', '.join(self.volumes)} failed: {err.decode(errors='replace').strip()[-500:]}"
            )
        return out.decode("utf-8", "surrogateescape")

    def put(self, path: str, files: Iterable[tuple[str, Path]]) -> None:
        """Copy local files (name relative to ``path``, where they are) below an absolute folder, which is made."""
        self.run('mkdir -p "$1"', path)
        self._client.put_archive(self.id, path, tar_stream(files))

    def write(self, path: str, content: bytes) -> None:
        """Write one file in one step: readers see the old content or the new."""
        folder, _, name = path.rpartition("/")
        self.run('mkdir -p "$1"', folder)
        self._client.put_archive(self.id, folder, containers.tar_of({f".{name}.new": content}))
        self.run('mv -f "$1" "$2"', f"{folder}/.{name}.new", path)

    def read(self, path: str) -> bytes | None:
        """The content of one file; None when there is none."""
        try:
            with self._client.get_archive(self.id, path) as chunks, tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                member = tar.next()
                found = tar.extractfile(member) if member is not None and member.isfile() else None
                return found.read() if found is not None else None
        except NotFound:
            return None

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file or folder of a volume to the local path ``target``, which is not there yet. NotFound when there is none."""
        unpacked = target.with_name(f".{target.name}.tar")
        unpacked.mkdir(parents=True)
        with self._client.get_archive(self.id, path) as chunks, tarfile.open(fileobj=_Reader(chunks), mode="r|") as tar:
            for member in tar:
                _unpack(tar, member, unpacked)
        next(unpacked.iterdir()).rename(target)
        unpacked.rmdir()


def helper(client: DockerClient, *volumes: str) -> Helper:
    """The helper with these volumes, started when first needed, kept until the connection ends. NotFound without the volume."""
    wanted = tuple(sorted(set(volumes)))
    with client.helpers_lock:
        mine = client.helpers.setdefault(wanted, _Slot())
    with mine.lock:
        if mine.helper is None or not mine.helper.alive():
            mine.helper = None
            mine.helper = Helper(client, wanted)
            mine.helper.start()
        found: Helper = mine.helper
        return found


def release(client: DockerClient, volume: str) -> None:
    """End the helpers that hold this volume."""
    with client.helpers_lock:
        slots = [client.helpers.pop(key) for key in [*client.helpers] if volume in key]
    for slot in slots:
        with slot.lock:
            if slot.helper is not None:
                slot.helper.stop()


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.helper: Helper | None = None


def helper_labels(client: DockerClient) -> dict[str, str]:
    """The labels of a container that lives for one task of this process: whoever finds it later knows whether we still are."""
    return {**client.shared_labels(), labels.HELPER: _me()}


def sweep(client: DockerClient) -> None:
    """Remove containers of this stack that lived for one task, do not run, and whose process is no more."""
    ours = labels.filters(project=client.project, env=client.environment)
    idle = ["created", "exited", "dead"]
    listed = client.get("/containers/json", all="true", filters={"label": [*ours["label"], labels.HELPER], "status": idle})
    for item in listed:
        if _left_behind(item["Labels"].get(labels.HELPER, ""), item["Created"]):
            containers.remove_quietly(client, item["Id"])


def end_with(client: DockerClient, host: str) -> None:
    """Remove what lived for the tasks of processes in the container ``host`` (its host name), which was removed: runs that it had
    started, and their helpers, which else would hold volumes for a while."""
    ours = labels.filters(project=client.project, env=client.environment)
    listed = client.get("/containers/json", all="true", filters={"label": [*ours["label"], labels.HELPER]})
    for item in listed:
        if item["Labels"].get(labels.HELPER, "").startswith(f"{host}/"):
            containers.remove(client, item["Id"])


def _left_behind(owner: str, created: float) -> bool:
    host, _, process = owner.partition("/")
    if host != platform.node():
        return time.time() - created > _FOREIGN_AGE
    pid, _, born = process.partition("/")
    return not (pid.isdigit() and _born(int(pid)) == born)


def _me() -> str:
    return f"{platform.node()}/{os.getpid()}/{_born(os.getpid())}"


def _born(pid: int) -> str:
    """What tells a process from a later one of the same number; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "alive"


def tar_stream(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """A tar of local files, chunk by chunk: nothing is held in memory. Invalid when one cannot be read, or shrinks meanwhile."""
    for name, path in files:
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime = found.st_size, int(found.st_mtime)
                entry.mode = 0o755 if found.st_mode & 0o100 else 0o644
                yield entry.tobuf(tarfile.PAX_FORMAT)
                left = entry.size
                while left:
                    chunk = file.read(min(_CHUNK, left))
                    if not chunk:
                        raise Invalid(f"{path} became shorter while it was copied")
                    left -= len(chunk)
                    yield chunk
                yield b"\0" * (-entry.size % tarfile.BLOCKSIZE)
        except OSError as error:
            raise Invalid(f"{path} cannot be read: {error.strerror}") from error
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """One file or folder of what somebody else's code wrote: nothing outside of ``folder``, no devices, no links out of it.

    tarfile's own filter for this came with Python 3.11.4; a Debian 12 has 3.11.2."""
    target = Path(os.path.normpath(folder / member.name))
    if not target.is_relative_to(folder) or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise Invalid(f"{member.name!r} in a volume leaves its folder")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
    elif member.isfile():
        content = tar.extractfile(member)
        assert content is not None
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
    elif member.issym():
        link = Path(os.path.normpath(target.parent / member.linkname))
        if link.is_relative_to(folder):
            target.symlink_to(os.path.relpath(link, target.parent))
    elif member.islnk():
        source = Path(os.path.normpath(folder / member.linkname))
        if source.is_relative_to(folder) and source.is_file():
            shutil.copyfile(source, target)


class _Reader(io.RawIOBase):
    """Chunks as a file, for tarfile."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def mount(volume: str, target: str, *, read_only: bool = False) -> Mapping[str, Any]:
    """An entry of a container's ``Mounts``."""
    return {"Type": "volume", "Source": volume, "Target": target, **({"ReadOnly": True} if read_only else {})}
