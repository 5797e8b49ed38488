"""Objects in S3 that our own types keep: folders by content, each with a manifest that is written last.

``PREFIX/DIGEST/NAME…`` are the files of one version, ``PREFIX/DIGEST.json`` its manifest. What has no manifest is not there yet. All is synchronous
and runs in the client's pool of threads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlinfra.provider.failures import Invalid, NotFound
from mlinfra.provider.files import SelectedFile
from mlinfra.provider.progress import say
from mlinfra_aws.client import Aws

_PART = 64 * 2**20
_DELETED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and a key, or the beginning of keys."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")

    def below(self, name: str) -> Place:
        return Place(self.bucket, f"{self.key.rstrip('/')}/{name}".lstrip("/"))


def place_of(uri: str) -> Place:
    """Invalid when it is no ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise Invalid(f"{uri!r} is no place in S3", hint="write it like s3://bucket/folder")
    return Place(bucket, key)


def put(client: Aws, place: Place, body: bytes | str, *, type: str = "application/octet-stream") -> None:
    content = body.encode() if isinstance(body, str) else body
    client.insist("s3", "PutObject", Bucket=place.bucket, Key=place.key, Body=content, ContentType=type)


def put_file(client: Aws, place: Place, path: Path) -> None:
    """One file, in parts when it is large."""
    with path.open("rb") as file:
        if path.stat().st_size <= _PART:
            put(client, place, file.read())
        else:
            _put_parts(client, place, file)


def _put_parts(client: Aws, place: Place, file: IO[bytes]) -> None:
    at: dict[str, Any] = {"Bucket": place.bucket, "Key": place.key}
    upload = client.insist("s3", "CreateMultipartUpload", **at)["UploadId"]
    try:
        parts: list[dict[str, Any]] = []
        while chunk := file.read(_PART):
            number = len(parts) + 1
            answer = client.insist("s3", "UploadPart", **at, UploadId=upload, PartNumber=number, Body=chunk)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        client.insist("s3", "CompleteMultipartUpload", **at, UploadId=upload, MultipartUpload={"Parts": parts})
    except BaseException:
        client.insist("s3", "AbortMultipartUpload", **at, UploadId=upload)
        raise


def get(client: Aws, place: Place) -> bytes | None:
    """None when there is nothing."""
    try:
        body: bytes = client.insist("s3", "GetObject", Bucket=place.bucket, Key=place.key)["Body"].read()
    except NotFound:
        return None
    return body


def get_json(client: Aws, place: Place) -> dict[str, Any] | None:
    """None when there is nothing, or nothing of ours."""
    found = get(client, place)
    if found is None:
        return None
    try:
        data = json.loads(found)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def put_json(client: Aws, place: Place, data: Mapping[str, Any]) -> None:
    put(client, place, json.dumps(data, sort_keys=True), type="application/json")


def listed(client: Aws, prefix: Place) -> dict[str, int]:
    """Names below a prefix (relative to it) → sizes. A bucket that is gone holds nothing."""
    start = prefix.key.rstrip("/") + "/" if prefix.key else ""
    try:
        rows = client.listed("s3", "ListObjectsV2", "Contents", Bucket=prefix.bucket, Prefix=start)
    except NotFound:
        return {}
    return {row["Key"][len(start) :]: int(row["Size"]) for row in rows}


def delete(client: Aws, bucket: str, keys: Iterable[str]) -> None:
    """Current versions only: what a versioned bucket keeps of them stays."""
    wanted = list(keys)
    for start in range(0, len(wanted), _DELETED_AT_ONCE):
        batch = [{"Key": k} for k in wanted[start : start + _DELETED_AT_ONCE]]
        client.insist("s3", "DeleteObjects", Bucket=bucket, Delete={"Objects": batch, "Quiet": True})


def delete_below(client: Aws, prefix: Place) -> None:
    delete(client, prefix.bucket, (prefix.below(name).key for name in listed(client, prefix)))


# Versions: a folder by content and its manifest.


def manifest_of(version: Place) -> Place:
    return Place(version.bucket, version.key.rstrip("/") + ".json")


def is_whole(client: Aws, version: Place) -> bool:
    """Whether every file of the manifest is there, with its size."""
    manifest = get_json(client, manifest_of(version))
    if manifest is None:
        return False
    there = listed(client, version)
    return all(there.get(name) == size for name, size in manifest.get("files", {}).items())


def upload(client: Aws, version: Place, selected: list[SelectedFile], fields: Mapping[str, Any]) -> None:
    """The files, then the manifest with ``fields`` (``version`` is the digest)."""
    say(f"uploading {len(selected):,} file{'s' if len(selected) != 1 else ''}")
    for number, file in enumerate(selected, 1):
        put_file(client, version.below(file.name), file.path)
        if number % 50 == 0:
            say(f"{number:,} of {len(selected):,} files uploaded")
    sizes = {file.name: file.path.stat().st_size for file in selected}
    put_json(client, manifest_of(version), {**fields, "files": sizes})


def copy_version(client: Aws, source: Place, version: Place, names: Iterable[str], fields: Mapping[str, Any]) -> None:
    """The same from another place in S3, by the server: nothing travels through this machine."""
    there = listed(client, source)
    for name in names:
        if name not in there:
            raise Invalid(f"{source.uri} holds no {name}")
        origin = source.below(name)
        target = version.below(name)
        client.insist(
            "s3", "CopyObject", Bucket=target.bucket, Key=target.key, CopySource={"Bucket": origin.bucket, "Key": origin.key}
        )
    put_json(client, manifest_of(version), {**fields, "files": {name: there[name] for name in names}})


def digest_below(client: Aws, prefix: Place) -> str:
    """The digest of what lies below a prefix that has no manifest: over names and ETags, which name the bytes well enough."""
    rows = client.listed("s3", "ListObjectsV2", "Contents", Bucket=prefix.bucket, Prefix=prefix.key.rstrip("/") + "/")
    whole = hashlib.sha256()
    for row in sorted(rows, key=lambda r: str(r["Key"])):
        whole.update(f"{row['Key'][len(prefix.key) :]}\0{row['ETag']}\n".encode())
    return f"sha256:{whole.hexdigest()}"
