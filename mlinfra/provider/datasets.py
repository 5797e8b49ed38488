"""What the datasets of every target share: how the kind is lowered, which attributes it has, what is known of it before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import Any

from mlinfra.kinds.dataset import Dataset, local_source
from mlinfra.model.resource import Desired
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map, Ref, Value, lookup
from mlinfra.provider.contract import Lowered, LoweringContext
from mlinfra.provider.failures import AlreadyExists
from mlinfra.provider.files import SelectedFile
from mlinfra.provider.naming import physical_name
from mlinfra.provider.planned import as_planned

OUTPUTS = ("id", "uri", "version", "name", "size")


def lowered(spec: Dataset, context: LoweringContext, type: str, *, instead: str, bucket: str = "name") -> Lowered:
    """One resource of ``type``. The digest of the source is known at plan time, and with it the URI. ``bucket`` is the output by which
    the type knows its bucket.

    LoweringError for a source that is no path of this machine; ``instead`` says what to do about it."""
    path = local_source(spec.source)
    if path is None:
        target = type.partition(".")[0]
        raise context.error(
            f"{target}.dataset_source",
            f"{target} cannot read {spec.source}: a dataset's source is a path of this machine, known at plan time",
            path=("source",),
            hint=instead,
        )
    found = context.digest(path)
    resource = context.resource(
        type,
        {
            "bucket": lookup(spec.bucket, (bucket,)),
            "name": spec.name or physical_name("", "", context.named),
            "source": path,
            "version": found.digest,
            "size": found.size,
            "file": PurePath(path).name if found.single else "",
            "keep": spec.keep,
        },
    )
    return Lowered(resources=(resource,), outputs=Map({name: Ref(context.address, (name,)) for name in OUTPUTS}))


def attributes(*, holder: str, folder: str) -> dict[str, Attribute]:
    """The attributes; ``holder`` and ``folder`` say why its bucket and its name cannot change (``the bucket that holds it``)."""
    return {
        "bucket": Attribute(type="string", required=True, immutable=True, source=holder),
        "name": Attribute(type="string", required=True, immutable=True, source=folder),
        "source": Attribute(type="string", required=True, write_only=True),
        "version": Attribute(type="string", required=True),
        "size": Attribute(type="integer"),
        "file": Attribute(type="string", description="the file's name; empty for a folder"),
        "keep": Attribute(type="integer", write_only=True),
        "id": Attribute(type="string", computed=True),
        "uri": Attribute(type="string", computed=True),
    }


def source_files(base: FilePath, wanted: Map) -> list[SelectedFile]:
    """The files of the source. Invalid when they cannot be read, or are not the version that was planned."""
    source = str(wanted["source"])
    return as_planned(base, source, str(wanted["version"]), what=f"the source {source}", at=("source",))


def refuse_foreign(marker: Mapping[str, Any], desired: Desired, holder: str) -> None:
    """AlreadyExists when ``marker`` (what is written down beside a dataset) says that it is another resource's."""
    if marker.get("address", desired.address) != desired.address:
        wanted = desired.attributes
        message = f"the {holder} has a dataset {wanted['name']} already: that of {marker['address']}"
        raise AlreadyExists(message, import_id=id_of(wanted))


def surplus(versions: Sequence[str], current: str, keep: int) -> Sequence[str]:
    """Those of ``versions`` (oldest first) that go, when at most ``keep`` stay beside the ``current`` one."""
    old = [name for name in versions if name != current]
    return old[: max(0, len(old) - keep)]


def stake(versions: int) -> str:
    """What deleting so many versions would lose."""
    return f"{versions:,} version{'s' if versions != 1 else ''}" if versions else ""


def id_of(attributes: Mapping[str, Value]) -> str:
    """``BUCKET/NAME``."""
    return f"{attributes['bucket']}/{attributes['name']}"


def predicted(attributes: Map, uri: Callable[[Map], str]) -> dict[str, Value]:
    """``id`` and ``uri``, as far as what they are made of is known."""
    if not all(isinstance(attributes.get(name), str) for name in ("bucket", "name")):
        return {}
    known = isinstance(attributes.get("version"), str) and isinstance(attributes.get("file", ""), str)
    return {"id": id_of(attributes), **({"uri": uri(attributes)} if known else {})}
