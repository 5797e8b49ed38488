"""The Docker engine of this machine, which builds images and pushes them. The only file here that knows the Docker SDK.

Which engine: ``DOCKER_HOST`` with its companions, else Docker's current context, as the ``docker`` command does it.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from mlinfra.model.redaction import remember
from mlinfra.provider.docker_engine.connection import Connection, default_options
from mlinfra.provider.failures import Denied, Failure, Invalid, NotFound, Quota, Transient
from mlinfra.provider.files import SelectedFile
from mlinfra.provider.images.login import Login
from mlinfra.provider.progress import say

_LONG = 3600
_TAIL = 15


class Engine:
    """A connected engine. Calls block.

    What is built or loaded gets a ``name`` of its own. Who builds the same beside us gets the same image, and when he takes his last name
    away the engine deletes it, unless it has another; :meth:`drop` takes ours away."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def build(
        self, files: Iterable[SelectedFile], name: str, *,
        dockerfile: str, args: Mapping[str, str], target: str | None, platform: str | None,
    ) -> str:  # fmt: skip
        """Build from a context of these files; the image's id. Invalid, with its last lines, when it cannot be built."""
        said: list[str] = []
        id = ""
        with _packed(files) as context, _mapped():
            messages = self._api.build(
                fileobj=context, custom_context=True, dockerfile=dockerfile, buildargs=dict(args), target=target, platform=platform,
                tag=name, rm=True, forcerm=True, decode=True,
            )  # fmt: skip
            for message in messages:
                id = (message.get("aux") or {}).get("ID", id)
                for line in str(message.get("stream", "")).splitlines():
                    said = [*said[-_TAIL + 1 :], line]
                    if line.startswith(("Step ", "#")):
                        say(line)
                if id and id in str(message.get("error", "")):  # it was made, and cannot be named
                    raise Transient(f"the image was built, and somebody took it away before it had a name: {message['error']}")
                if "error" in message:
                    last = "\n".join(f"    {line}" for line in said if line.strip())
                    raise _refused(
                        str(message["error"]), "the image cannot be built: ", f"; its last lines:\n{last}" if last else ""
                    )
        if not id:
            raise Invalid("the image cannot be built: the engine told no image")
        return str(id)

    def load(self, archive: Path, name: str) -> str:
        """Load what ``docker save`` wrote; the image's id."""
        with archive.open("rb") as body, _mapped():
            for message in self._api.load_image(body, quiet=False):
                text = str(message.get("stream", "")).strip()
                for mark in ("Loaded image ID: ", "Loaded image: "):
                    if text.startswith(mark):
                        self._api.tag(text.removeprefix(mark), *name.split(":"))
                        return str(self._api.inspect_image(name)["Id"])
        raise Invalid(f"{archive.name} holds no image", hint="write it with docker save")

    def pull(self, reference: str) -> str:
        """The id of an image of another registry, fetched with Docker's own login there, unless it is here already."""
        with _mapped():
            with suppress(NotFound), _mapped():
                return str(self._api.inspect_image(reference)["Id"])
            name, _, tag = reference.partition("@")
            if not tag and ":" in reference.rpartition("/")[2]:
                name, _, tag = reference.rpartition(":")
            say(f"pulling {reference}")
            for message in self._api.pull(name, tag=tag or "latest", stream=True, decode=True):
                if "error" in message:
                    raise _refused(str(message["error"]), f"{reference} cannot be pulled: ")
            return str(self._api.inspect_image(reference)["Id"])

    def push(self, id: str, login: Login, tags: Sequence[str]) -> str:
        """Push the image under each tag, the last one last; its digest in the registry. The names that this takes go afterwards."""
        remember(login.password)
        auth = {"username": login.username, "password": login.password} if login.username else None
        digest = ""
        try:
            for tag in tags:
                with _mapped():
                    self._api.tag(id, login.repository, tag=tag)
            for tag in tags:
                digest = self._pushed(login, tag, auth)
        finally:
            for tag in tags:
                self.drop(f"{login.repository}:{tag}")
        return digest

    def drop(self, name: str) -> None:
        """Take a name away, and the image with its last one. Nothing happens when it cannot be."""
        with suppress(Failure), _mapped():
            self._api.remove_image(name, noprune=True)

    def _pushed(self, login: Login, tag: str, auth: Mapping[str, str] | None) -> str:
        digest = ""
        done: dict[str, tuple[int, int]] = {}
        told = -1
        with _mapped():
            for message in self._api.push(login.repository, tag=tag, stream=True, decode=True, auth_config=auth):
                if "error" in message:
                    raise _refused(str(message["error"]), f"{login.repository}:{tag} cannot be pushed: ")
                digest = (message.get("aux") or {}).get("Digest", digest)
                detail = message.get("progressDetail") or {}
                if detail.get("total"):
                    done[str(message.get("id"))] = (int(detail.get("current", 0)), int(detail["total"]))
                    tenths = sum(c for c, _ in done.values()) // 10_000_000
                    if tenths != told:
                        told = tenths
                        say(f"pushing {login.name}: {tenths * 10} of {sum(t for _, t in done.values()) // 1_000_000} MB")
        if not digest:
            raise Transient(f"{login.repository}:{tag}: the registry told no digest")
        return str(digest)


@contextmanager
def local_engine() -> Iterator[Engine]:
    """The engine of this machine. Invalid, with what to do, where there is none."""
    try:
        from docker.errors import DockerException
    except ImportError as error:
        raise Invalid(
            f"an image is built with the Docker SDK, which cannot be loaded: {error}", hint="pip install 'mlinfra-iac[images]'"
        ) from None
    try:
        connection = Connection(default_options())
    except (DockerException, ValueError) as error:
        raise _absent(os.environ.get("DOCKER_HOST") or "its default address", str(error).partition("\n")[0]) from None
    try:
        connection.open(timeout=_LONG)
    except (Failure, DockerException, OSError, ValueError) as error:
        reason, hint = connection.explained(error)
        connection.close()
        raise _absent(connection.address, reason, hint) from None
    try:
        yield Engine(connection.api)
    finally:
        connection.close()


def _absent(where: str, reason: str, hint: str = "") -> Invalid:
    return Invalid(
        f"an image is built by a Docker engine, and none answers at {where}: {reason}",
        hint=hint or "start one (systemctl start docker), or name one that runs: DOCKER_HOST=ssh://builder",
    )


@contextmanager
def _packed(files: Iterable[SelectedFile]) -> Iterator[IO[bytes]]:
    """A build's context as a tar in a file of its own: contexts may be larger than memory."""
    with tempfile.TemporaryFile(prefix="mlinfra-") as held:
        try:
            with tarfile.open(fileobj=held, mode="w") as tar:
                for file in files:
                    tar.add(file.path.resolve(), file.name, recursive=False, filter=_nobodys)
        except OSError as error:
            raise Invalid(f"the build's context cannot be read: {error.strerror} ({error.filename})", path=("build",)) from error
        held.seek(0)
        yield held


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without its owner, and with rights that do not depend on whose machine it is."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


@contextmanager
def _mapped() -> Iterator[None]:
    """The SDK's errors as failures."""
    import requests
    from docker.errors import APIError, DockerException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        message = str(error.explanation or error).strip()
        raise (NotFound(message) if error.status_code == 404 else _refused(message)) from error
    except (requests.RequestException, HTTPError, DockerException, OSError) as error:
        raise Transient(f"the Docker engine does not answer: {error}", hint="is it running? docker info") from error


_REFUSALS: tuple[tuple[tuple[str, ...], Callable[..., Failure], str], ...] = (
    (("no space left on device",), Quota, "make room on the engine's disk: docker system df shows what takes it"),
    (
        ("denied", "unauthorized", "authentication required", "no basic auth"),
        Denied,
        "may these credentials push to the repository?",
    ),
    (("does not exist", "not found", "manifest unknown"), NotFound, ""),
    (("connection refused", "connection reset", "timeout", "EOF", "no such host", "unavailable"), Transient, ""),
)


def _refused(message: str, before: str = "", after: str = "") -> Failure:
    """What the engine or the registry could not do, in the closed set; a build's own failure is Invalid."""
    if not after:
        for words, failure, hint in _REFUSALS:
            if any(word in message for word in words):
                return failure(f"{before}{message}", hint=hint)
    return Invalid(f"{before}{message}{after}", path=("build",) if after else ())
