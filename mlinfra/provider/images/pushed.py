"""``TARGET.image``: an image in a repository of the cloud's registry, built, pulled or loaded here and pushed there."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, is_known, reveal
from mlinfra.provider.contract import Client
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra.provider.images.engine import Engine, local_engine
from mlinfra.provider.images.login import Login
from mlinfra.provider.images.registry import Registry
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say

_FIXED = "an image never changes its content"
_SOURCES = ("build", "source", "archive")


def _predict(attributes: Map) -> Mapping[str, Value]:
    return {"status": "ready"}


class PushedImage(ABC):
    """One of ``build`` (``{context, digest, dockerfile, args, target, platform}``), ``source`` (a reference) and ``archive`` (``{path,
    digest}``). ``tag`` says what it is made of. ``digest`` is that of its manifest, ``uri`` is ``REPOSITORY@DIGEST``: what jobs and
    endpoints name, whoever moves a tag.

    A second tag, ``mark``, carries the operation that pushed it, and is pushed first: that is how a create which a crash cut off is found.
    The client has ``base`` and ``excluded`` (see :class:`mlinfra.provider.contract.ProviderContext`)."""

    schema = Schema(
        attributes={
            "repository": Attribute(type="string", required=True, immutable=True, source="the repository that holds it"),
            "tag": Attribute(type="string", required=True, immutable=True, source=_FIXED),
            "build": Attribute(type="map", immutable=True, source=_FIXED),
            "source": Attribute(type="string", immutable=True, source=_FIXED),
            "archive": Attribute(type="map", immutable=True, source=_FIXED),
            "digest": Attribute(type="string", computed=True),
            "uri": Attribute(type="string", computed=True),
            "mark": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        create_first=True,
        named_by="tag",
        inside=("repository",),
    )

    @abstractmethod
    def login(self, client: Client, repository: str) -> Login:
        """How the repository is entered just now. Called in a thread."""

    def untag(self, client: Client, login: Login, digest: str, tags: tuple[str, ...]) -> None:
        """Take these tags away, and the image when no other tag names it. Called in a thread."""
        with Registry(login) as registry:
            others = [t for t in registry.tags() if t not in tags and registry.digest(t) == digest]
            if others:
                say(f"{digest[:19]} stays: {', '.join(others[:3])} name it too")
            else:
                registry.delete(digest)

    async def read(self, client: Client, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(self._read, client, recorded.attributes)

    async def create(self, client: Client, desired: Desired, token: str) -> Observed:
        return await asyncio.to_thread(self._create, client, desired.attributes, token)

    async def update(self, client: Client, recorded: ResourceState, desired: Desired) -> Observed:
        """Pushed again: somebody gave its tag to another image, or took it away."""
        mark = str(recorded.attributes["mark"])
        return await asyncio.to_thread(self._pushed, client, desired.attributes, mark)

    async def delete(self, client: Client, recorded: ResourceState) -> None:
        await asyncio.to_thread(self._delete, client, recorded.attributes)

    async def find(self, client: Client, desired: Desired, token: str) -> Observed | None:
        return await asyncio.to_thread(self._find, client, desired.attributes, token)

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        given = [name for name in _SOURCES if attributes.get(name) is not None]
        if len(given) != 1 and all(is_known(attributes[name]) for name in given):
            return [((given[0],) if given else (), f"an image takes one of {', '.join(_SOURCES)}")]
        return []

    def _create(self, client: Client, wanted: Map, token: str) -> Observed:
        login, tag = self.login(client, str(wanted["repository"])), str(wanted["tag"])
        with Registry(login) as registry:
            there, ours = registry.digest(tag), registry.digest(_mark(token))
        if there is not None and there != ours:
            raise AlreadyExists(f"{wanted['repository']} has an image {tag} that is not ours", path=("tag",))
        return self._pushed(client, wanted, _mark(token))

    def _pushed(self, client: Client, wanted: Map, mark: str) -> Observed:
        name = f"mlinfra-build:{mark}"
        with local_engine() as engine:
            try:
                image = _made(client, engine, wanted, name)
                login = self.login(client, str(wanted["repository"]))  # a long build outlives a token
                digest = engine.push(image, login, (mark, str(wanted["tag"])))
            finally:
                engine.drop(name)
        return _told(wanted, digest, mark, "ready")

    def _read(self, client: Client, known: Map) -> Observed | None:
        with Registry(self.login(client, str(known["repository"]))) as registry:
            found = registry.digest(str(known["tag"]))
            if found is None and registry.digest(str(known["digest"])) is None:
                return None
        status = "ready" if found == known["digest"] else "untagged" if found is None else "another image"
        return _told(known, str(known["digest"]), str(known["mark"]), status)

    def _find(self, client: Client, wanted: Map, token: str) -> Observed | None:
        with Registry(self.login(client, str(wanted["repository"]))) as registry:
            marked = registry.digest(_mark(token))
            if marked is None:
                return None
            status = "ready" if registry.digest(str(wanted["tag"])) == marked else "untagged"
        return _told(wanted, marked, _mark(token), status)

    def _delete(self, client: Client, known: Map) -> None:
        login = self.login(client, str(known["repository"]))
        self.untag(client, login, str(known["digest"]), (str(known["tag"]), str(known["mark"])))


def _mark(token: str) -> str:
    return f"mlinfra-op-{token[:16]}"


def _told(wanted: Map, digest: str, mark: str, status: str) -> Observed:
    repository, tag = str(wanted["repository"]), str(wanted["tag"])
    given = {key: wanted[key] for key in _SOURCES if key in wanted}
    told = {"digest": digest, "uri": f"{repository}@{digest}", "mark": mark, "status": status}
    return Observed(f"{repository}:{tag}", Map({**given, "repository": repository, "tag": tag, **told}))


def _made(client: Any, engine: Engine, wanted: Map, name: str) -> str:
    """The id of the image, on the engine. What was not there by a name of its own has this one."""
    base: FilePath = client.base
    build, archive = wanted.get("build"), wanted.get("archive")
    if build is not None:
        path = str(build["context"])
        selected = as_planned(base, path, build.get("digest"), what=path, mode="code", excluded=client.excluded)
        dockerfile = str(build.get("dockerfile") or "Dockerfile")
        if not any(f.name == dockerfile for f in selected):
            raise Invalid(f"the context {path} holds no {dockerfile}", path=("build", "dockerfile"))
        args = {name: str(reveal(value)) for name, value in (build.get("args") or {}).items()}
        return engine.build(
            selected, name, dockerfile=dockerfile, args=args, target=build.get("target"), platform=build.get("platform")
        )
    if archive is not None:
        path = str(archive["path"])
        selected = as_planned(base, path, archive.get("digest"), what=path)
        return engine.load(selected[0].path, name)
    return engine.pull(str(wanted["source"]))
