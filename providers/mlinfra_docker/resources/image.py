"""``docker.image``: an image of the engine, built from a folder, pulled from a registry, or loaded from a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Path, Value, is_known
from mlinfra.provider import files
from mlinfra.provider.failures import AlreadyExists, Conflict, Failure, Invalid, Quota
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say
from mlinfra_docker import containers, labels, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.naming import name_at
from mlinfra_docker.pulling import ensure_image, offered, pinned, pull

_FIXED = "an image never changes its content"
_SOURCES = ("Build", "FromImage", "Load")
_DEFAULT_TAG = "latest"
_TAIL = 15


def _predict(attributes: Map) -> Mapping[str, Value]:
    name, tag, source = attributes.get("Name"), attributes.get("Tag") or _DEFAULT_TAG, attributes.get("FromImage")
    known: dict[str, Value] = {"Status": "ready", "Current": True}
    if attributes.get("Tag") is None and source is None:
        known["Tag"] = _DEFAULT_TAG
    if isinstance(source, str) and "@" in source:
        known["Reference"] = source
    elif source is None and isinstance(name, str) and isinstance(tag, str):
        known["Reference"] = f"{name}:{tag}"
    return known


class Image:
    """One of ``Build`` (``{Context, Dockerfile, BuildArgs, Target, Platform}``), ``FromImage`` (a reference) and ``Load`` (``{Path}``).
    ``Digest`` in the first and the last is that of the files when the plan was made; without it the files are compared when the image
    is read, and ``Status`` is ``stale`` once they differ. ``Reference`` is what containers name: of an image that a registry gave, that very
    one (``REPOSITORY@sha256:…``), whatever tag it was asked for by. ``Digest`` is that of its manifest, or its ``Id`` where no registry knows
    it. ``Current`` is false once the registry gives another image under the tag.

    Deleting it takes away the names that it was given here, and what no other name holds; an image that was there already when
    ``FromImage`` asked for it stays."""

    schema = Schema(
        attributes={
            "Name": Attribute(type="string", computed=True, immutable=True, source="the repository of its tag"),
            "Tag": Attribute(type="string", computed=True, immutable=True, source="its content goes by this name"),
            "Build": Attribute(type="map", immutable=True, source=_FIXED),
            "FromImage": Attribute(type="string", immutable=True, source=_FIXED),
            "Load": Attribute(type="map", immutable=True, source=_FIXED),
            "Id": Attribute(type="string", computed=True),
            "Digest": Attribute(type="string", computed=True),
            "Current": Attribute(
                type="boolean", computed=True, immutable=True, source="the registry gives another image under its tag now"
            ),
            "Reference": Attribute(type="string", computed=True),
            "Pulled": Attribute(type="boolean", computed=True),
            "SourceDigest": Attribute(type="string", computed=True),
            "Status": Attribute(type="string", computed=True),
        },
        version=2,
        predict=_predict,
        create_first=True,
        named_by="Tag",
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        return await client.run(_create, client, desired, token)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        """Made again from its source: that changed, or somebody gave its name to another image."""
        return await client.run(_make, client, desired, recorded, "")

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        return await client.run(_find, client, desired, token)

    async def adopt(self, client: DockerClient, id: str) -> Observed | None:
        return await client.run(_adopt, client, id)

    def migrate(self, attributes: Map, from_version: int) -> Map:
        """Version 1 knew no manifest's digest."""
        return Map({**attributes, "Digest": attributes.get("Id", ""), "Current": True})

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        given = [name for name in _SOURCES if attributes.get(name) is not None]
        if len(given) != 1 and all(is_known(attributes[name]) for name in given):
            return [((given[0],) if given else (), f"an image takes one of {', '.join(_SOURCES)}")]
        return []


def _keeper(client: DockerClient, address: str, token: str) -> str:
    """A second name that says which operation brought an image that cannot carry labels of ours."""
    return f"mlinfra/{name_at(client, address)}-op:{token}"


def _name(client: DockerClient, desired: Desired) -> tuple[str, str]:
    wanted = desired.attributes
    return str(wanted.get("Name") or f"mlinfra/{name_at(client, desired.address)}"), str(wanted.get("Tag") or _DEFAULT_TAG)


def _create(client: DockerClient, desired: Desired, token: str) -> Observed:
    name, tag = _name(client, desired)
    if desired.attributes.get("FromImage") is None and client.optional(f"/images/{name}:{tag}/json") is not None:
        raise AlreadyExists(f"an image called {name}:{tag} exists and is not ours", import_id=f"{name}:{tag}", path=("Name",))
    return _make(client, desired, None, token)


def _make(client: DockerClient, desired: Desired, recorded: ResourceState | None, token: str) -> Observed:
    wanted = desired.attributes
    name, tag = _name(client, desired)
    if wanted.get("FromImage") is not None:
        return _take(client, desired, recorded, token)
    reference = f"{name}:{tag}"
    made = _build if wanted.get("Build") is not None else _load
    digest = made(client, desired, reference, token)
    seen = client.get(f"/images/{reference}/json")
    return Observed(reference, _told(wanted, name, tag, reference, str(seen["Id"]), SourceDigest=digest))


def _take(client: DockerClient, desired: Desired, recorded: ResourceState | None, token: str) -> Observed:
    """The image that a registry offers, or, where no registry is known to have it, the one that is there."""
    wanted = desired.attributes
    name, tag = _name(client, desired)
    source = str(wanted["FromImage"])
    if recorded is not None:  # the very one that it was
        source, pulled = str(recorded.attributes["Reference"]), bool(recorded.attributes["Pulled"])
        ensure_image(client, source, path=("FromImage",))
    else:
        there = client.optional(f"/images/{source}/json")
        pulled = there is None or _outdated(client, source, pinned(there, source))
        if pulled:
            pull(client, source, path=("FromImage",))
    id = recorded.id if recorded is not None else _keeper(client, desired.address, token)
    _tag(client, source, id)
    seen = client.get(f"/images/{source}/json")
    return Observed(id, _told(wanted, name, tag, pinned(seen, source) or source, str(seen["Id"]), Pulled=pulled))


def _outdated(client: DockerClient, source: str, held: str) -> bool:
    """Whether a registry gives another image under the tag than the one that is held (``REPOSITORY@sha256:…``)."""
    if not held or "@" in source or not client.config.pull:
        return False
    return offered(client, source) not in (None, held.partition("@")[2])


def _told(wanted: Map, name: str, tag: str, reference: str, id: str, **more: Value) -> Map:
    given = {key: wanted[key] for key in _SOURCES if key in wanted}
    known = {"Id": id, "Digest": reference.partition("@")[2] or id, "Reference": reference, "Name": name, "Tag": tag}
    return Map({**given, "Pulled": False, "SourceDigest": "", "Status": "ready", "Current": True, **known, **more})


def _tag(client: DockerClient, reference: str, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    client.post(f"/images/{reference}/tag", None, repo=repository, tag=tag)


def _build(client: DockerClient, desired: Desired, reference: str, token: str) -> str:
    build = desired.attributes["Build"]
    selected, digest = _selected(client, build["Context"], build.get("Digest"), "code")
    dockerfile = str(build.get("Dockerfile") or "Dockerfile")
    if not any(f.name == dockerfile for f in selected):
        raise Invalid(f"the context {build['Context']} holds no {dockerfile}", path=("Build", "Dockerfile"))
    own = labels.own(client.project, client.environment, desired.address, token)
    query = {
        "t": reference, "dockerfile": dockerfile, "labels": own, "rm": "true", "forcerm": "true",
        "buildargs": containers.revealed(build.get("BuildArgs") or {}),
        **{key.lower(): str(build[key]) for key in ("Target", "Platform") if build.get(key)},
    }  # fmt: skip
    said: list[str] = []
    with _archive(volumes.tar_stream((f.name, f.path) for f in selected)) as context, context.open("rb") as body:
        headers = {"Content-Type": "application/x-tar"}
        try:
            for message in client.stream("POST", "/build", data=body, headers=headers, **query):
                for line in str(message.get("stream", "")).splitlines():
                    said = [*said[-_TAIL + 1 :], line]
                    if line.startswith("Step "):
                        say(line)
        except Failure as failure:
            if failure.retryable:
                raise
            last = "\n".join(f"    {line}" for line in said if line.strip())
            raise Invalid(
                f"the image cannot be built: {failure.message}" + (f"; its last lines:\n{last}" if last else ""), path=("Build",)
            ) from failure
    return digest


def _load(client: DockerClient, desired: Desired, reference: str, token: str) -> str:
    load = desired.attributes["Load"]
    selected, digest = _selected(client, load["Path"], load.get("Digest"), "data")
    loaded = ""
    try:
        with selected[0].path.open("rb") as body:
            for message in client.stream("POST", "/images/load", data=body, headers={"Content-Type": "application/x-tar"}):
                text = str(message.get("stream", "")).strip()
                for mark in ("Loaded image ID: ", "Loaded image: "):
                    if text.startswith(mark):
                        loaded = text.removeprefix(mark)
    except Failure as failure:
        if failure.retryable or isinstance(failure, Quota):
            raise
        raise Invalid(
            f"{load['Path']} cannot be loaded: {failure.message}", path=("Load", "Path"), hint="write it with docker save"
        ) from failure
    if not loaded:
        raise Invalid(f"{load['Path']} holds no image", path=("Load", "Path"), hint="write it with docker save")
    if token:
        _tag(client, loaded, _keeper(client, desired.address, token))
    _tag(client, loaded, reference)
    if loaded != reference and not loaded.startswith("sha256:"):
        client.delete(f"/images/{loaded}")  # the name that it came with
    return digest


class _archive:
    """A build's context as a file: it is sent again when the call is tried again."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._folder = tempfile.TemporaryDirectory(prefix="mlinfra-")

    def __enter__(self) -> FilePath:
        path = FilePath(self._folder.name) / "context.tar"
        with path.open("wb") as file:
            file.writelines(self._chunks)
        return path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _selected(client: DockerClient, path: str, planned: str | None, mode: files.Mode) -> tuple[list[files.SelectedFile], str]:
    selected = as_planned(client.base, path, planned, what=path, mode=mode, excluded=client.excluded)
    return selected, planned or files.digest_files(selected).digest


def _read(client: DockerClient, id: str, known: Map) -> Observed | None:
    kept = client.optional(f"/images/{id}/json")
    if kept is None:
        return None
    reference = str(known["Reference"])
    seen = kept if reference == id else client.optional(f"/images/{reference}/json")
    status = "ready"
    if seen is None or known.get("Id") not in (None, seen["Id"]):
        status = "another image" if seen is not None else "missing"
    elif known.get("SourceDigest") and known["SourceDigest"] != _source_digest(client, known):
        status = "stale"
    image = str((seen or kept)["Id"])
    current = not _outdated(client, str(known.get("FromImage") or "@"), reference if "@" in reference else "")
    kept_as = {key: known[key] for key in ("Pulled", "SourceDigest") if key in known}
    return Observed(id, _told(known, known["Name"], known["Tag"], reference, image, **kept_as, Status=status, Current=current))


def _source_digest(client: DockerClient, known: Map) -> str:
    """The digest of the files: the plan's, or, where the plan does not follow them itself, that of what is there now."""
    for name, path, mode in (("Build", "Context", "code"), ("Load", "Path", "data")):
        source = known.get(name)
        if source is not None:
            if source.get("Digest") is not None:
                return str(source["Digest"])
            try:
                return files.digest_files(files.select(client.base, source[path], mode, client.excluded)).digest  # type: ignore[arg-type]
            except OSError:
                break
    return str(known.get("SourceDigest", ""))


def _delete(client: DockerClient, recorded: ResourceState) -> None:
    known = recorded.attributes
    keepers = f"mlinfra/{name_at(client, recorded.address)}-op"
    tagged = client.get("/images/json", filters={"reference": [keepers]})
    kept = [tag for image in tagged for tag in image.get("RepoTags") or () if tag.startswith(f"{keepers}:")]
    for name in (*_names(client, known), *(kept if known.get("FromImage") is None else [recorded.id])):
        try:
            client.delete(f"/images/{name}")
        except Conflict as conflict:
            raise Invalid(
                f"the image {name} is in use: {conflict.message}", hint="docker ps -a --filter ancestor=… shows by what"
            ) from conflict


def _names(client: DockerClient, known: Map) -> list[str]:
    """The names that go with it: none of an image that was there already; a tag only as long as it still means this image."""
    source, reference = known.get("FromImage"), str(known["Reference"])
    if source is None:
        return [reference]
    if not known.get("Pulled"):
        return []
    tagged = client.optional(f"/images/{source}/json")
    return [*([str(source)] if tagged is not None and tagged["Id"] == known.get("Id") else []), reference]


def _find(client: DockerClient, desired: Desired, token: str) -> Observed | None:
    wanted = desired.attributes
    name, tag = _name(client, desired)
    source = wanted.get("FromImage")
    keeper = _keeper(client, desired.address, token)
    kept = client.optional(f"/images/{keeper}/json")
    reference = str(source) if source is not None else f"{name}:{tag}"
    seen = client.optional(f"/images/{reference}/json")
    built = {image["Id"] for image in client.get("/images/json", filters=labels.filters(op=token))}
    if seen is None or (kept is None and seen["Id"] not in built):
        return None
    id = keeper if source is not None else reference
    reference = pinned(seen, reference) or reference if source is not None else reference
    # who pulled it cannot be told any more: it stays when it was here before, and costs no more than its space when it was not
    return Observed(id, _told(wanted, name, tag, reference, str(seen["Id"]), SourceDigest=_source_digest(client, wanted)))


def _adopt(client: DockerClient, id: str) -> Observed | None:
    seen = client.optional(f"/images/{id}/json")
    if seen is None:
        return None
    name, _, tag = id.partition("@")[0].rpartition(":")
    return Observed(id, _told(Map(FromImage=id), name or tag, tag if name else _DEFAULT_TAG, id, str(seen["Id"])))
