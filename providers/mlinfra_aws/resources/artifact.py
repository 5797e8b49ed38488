"""``aws.model_artifact``: a model as SageMaker serves it: ``model.tar.gz`` in the registry's bucket, below the digest of its content.

An MLflow model folder gets a small server program (``code/inference.py``) beside it, by which AWS's own containers serve it. A folder that has an
``MLmodel`` is one; anything else is packed as it is, for an image of the user's own.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from importlib import resources
from itertools import chain
from pathlib import Path

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.progress import say
from mlinfra_aws import objects
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place

_CONTENT = "/content/"
ARCHIVE = "model.tar.gz"


def _digest(attributes: Mapping[str, Value]) -> str:
    """The content's digest as far as it can be told: from the plan's, or from a run's output, whose URI names it."""
    content, artifact = attributes.get("content"), attributes.get("artifact")
    if isinstance(content, str):
        return content
    if isinstance(artifact, str) and _CONTENT in artifact:
        return f"sha256:{artifact.rpartition('/')[2]}"
    return ""


def _place(attributes: Mapping[str, Value], digest: str) -> Place:
    folder = f"models/{attributes['model']}/{attributes['version']}"
    return Place(str(attributes["bucket"]), f"{folder}/{digest.removeprefix('sha256:')[:16]}")


def _predict(attributes: Map) -> Mapping[str, Value]:
    digest = _digest(attributes)
    found: dict[str, Value] = {"status": "ready"}
    if digest:
        found["digest"] = digest
        if all(isinstance(attributes.get(name), str) for name in ("bucket", "model", "version")):
            found |= _places(attributes, digest)
    return found


def _places(attributes: Mapping[str, Value], digest: str) -> dict[str, Value]:
    place = _place(attributes, digest)
    return {"uri": place.uri, "archive": place.below(ARCHIVE).uri}


class ModelArtifact:
    """``artifact`` is a place in S3, ``path`` a folder of this machine with the digest of its ``content``; other content is another artifact,
    beside the old one."""

    schema = Schema(
        attributes={
            "bucket": Attribute(type="string", required=True, immutable=True, source="the registry's bucket"),
            "model": Attribute(type="string", required=True, immutable=True, source="its folder in the bucket"),
            "version": Attribute(type="string", required=True, immutable=True, source="its folder in the bucket"),
            "artifact": Attribute(type="string", immutable=True, source="an artifact never changes its content"),
            "path": Attribute(type="string", write_only=True),
            "content": Attribute(type="string", immutable=True, source="an artifact never changes its content"),
            "digest": Attribute(type="string", computed=True),
            "uri": Attribute(type="string", computed=True),
            "archive": Attribute(type="string", computed=True),
            "status": Attribute(type="string", computed=True),
        },
        predict=_predict,
        create_first=True,
        inside=("bucket",),
    )

    async def read(self, client: Aws, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await client.run(_create, client, desired, token)

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        def again() -> Observed:
            place = objects.place_of(recorded.id)
            marker = objects.get_json(client, objects.manifest_of(place)) or {}
            return _create(client, desired, str(marker.get("op", "")))

        return await client.run(again)

    async def delete(self, client: Aws, recorded: ResourceState) -> None:
        def drop() -> None:
            place = objects.place_of(recorded.id)
            objects.delete_below(client, place)
            try:
                objects.delete(client, place.bucket, (objects.manifest_of(place).key,))
            except NotFound:
                return

        await client.run(drop)

    async def find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        def look() -> Observed | None:
            prefix = Place(
                str(desired.attributes["bucket"]), f"models/{desired.attributes['model']}/{desired.attributes['version']}"
            )
            for name in objects.listed(client, prefix):
                if "/" not in name and name.endswith(".json"):
                    marker = objects.get_json(client, prefix.below(name))
                    if marker is not None and marker.get("op") == token:
                        return _read(client, prefix.below(name.removesuffix(".json")).uri, desired.attributes)
            return None

        return await client.run(look)

    async def adopt(self, client: Aws, id: str) -> Observed | None:
        def take() -> Observed | None:
            place = objects.place_of(id)
            parts = place.key.split("/")
            if len(parts) != 4 or parts[0] != "models":
                raise Invalid(f"{id!r} is no artifact", hint="write it like s3://BUCKET/models/MODEL/VERSION/DIGEST")
            marker = objects.get_json(client, objects.manifest_of(place))
            if marker is None:
                return None
            return _read(
                client, id, Map(bucket=place.bucket, model=parts[1], version=parts[2], content=marker.get("version", ""))
            )

        return await client.run(take)


def _read(client: Aws, id: str, known: Map) -> Observed | None:
    place = objects.place_of(id)
    marker = objects.get_json(client, objects.manifest_of(place))
    if marker is None:
        return None
    status = "ready" if objects.is_whole(client, place) else "archive missing"
    digest = str(marker.get("version", ""))
    return Observed(id, Map({**known, "digest": digest, **_places(known, digest), "status": status}))


def _create(client: Aws, desired: Desired, token: str) -> Observed:
    wanted = desired.attributes
    with tempfile.TemporaryDirectory(prefix="mlinfra-model-") as scratch:
        digest, selected = _source(client, wanted, Path(scratch))
        place = _place(wanted, digest)
        if not objects.is_whole(client, place):
            archive = Path(scratch) / ARCHIVE
            pack(archive, selected)
            objects.put_file(client, place.below(ARCHIVE), archive)
            sizes = {ARCHIVE: archive.stat().st_size}
            objects.put_json(
                client, objects.manifest_of(place), {"op": token, "address": desired.address, "version": digest, "files": sizes}
            )
    return Observed(place.uri, Map({**wanted, "digest": digest, **_places(wanted, digest), "status": "ready"}))


def _source(client: Aws, wanted: Map, scratch: Path) -> tuple[str, list[files.SelectedFile]]:
    """The digest and the files, downloaded where they lie in S3."""
    path = wanted.get("path")
    if isinstance(path, str):
        try:
            selected = files.select(client.base, path)
            digest = files.digest_files(selected).digest
        except OSError as error:
            raise Invalid(f"the model {path} cannot be read: {error.strerror}", path=("path",)) from error
        if digest != wanted.get("content"):
            raise Invalid(f"the model {path} changed since the plan was made", path=("path",), hint="plan again")
        return digest, selected
    source = objects.place_of(str(wanted.get("artifact")))
    names = objects.listed(client, source)
    if not names:
        raise Invalid(f"there is nothing at {source.uri}", path=("artifact",))
    say(f"downloading {len(names):,} file{'s' if len(names) != 1 else ''} of the model")
    folder = scratch / "model"
    for name in names:
        body = objects.get(client, source.below(name))
        if body is not None and not name.endswith("/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(body)
    return _digest(wanted) or objects.digest_below(client, source), files.select(folder, ".")


def pack(archive: Path, selected: list[files.SelectedFile]) -> None:
    """The same files give the same bytes: no times, no owners, sorted."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in chain(((f.name, f.path.read_bytes()) for f in selected), _server(selected)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))


def _server(selected: list[files.SelectedFile]) -> Iterator[tuple[str, bytes]]:
    names = {f.name: f.path for f in selected}
    if "MLmodel" not in names or "code/inference.py" in names:
        return
    yield "code/inference.py", resources.files("mlinfra_aws").joinpath("container/inference.py").read_bytes()
    wanted = names["requirements.txt"].read_text() if "requirements.txt" in names else ""
    lines = ["mlflow-skinny", "pandas", *(line for line in wanted.splitlines() if line.strip())]
    yield "code/requirements.txt", ("\n".join(dict.fromkeys(lines)) + "\n").encode()
