"""``aws.s3_object``: one object, from a text or a file. Its digest and the operation that made it stand in its metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Path, Value, is_known
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.schema import known_text
from mlinfra_aws.engine.table import Table

_DIGEST, _OP = "mlinfra-digest", "mlinfra-op"
_NAMED = "s3: an object is named by its bucket and key"


class Object(TableType):
    """Exactly one of ``Body`` (text) and ``Source`` (a file below the spec's folder) is given. With ``Source``, ``SourceDigest``
    (``sha256:…``) says when it has changed."""

    def predict(self, attributes: Map) -> Mapping[str, Value]:
        bucket, key = known_text(attributes.get("Bucket")), known_text(attributes.get("Key"))
        found: dict[str, Value] = {"Uri": f"s3://{bucket}/{key}"} if bucket and key else {}
        body, digest = known_text(attributes.get("Body")), known_text(attributes.get("SourceDigest"))
        if body is not None:
            found["Digest"] = sha256(body.encode())
        elif digest is not None:
            found["Digest"] = digest
        return found

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        problems = list(super().validate(attributes))
        given = [n for n in ("Body", "Source") if attributes.get(n) is not None]
        if len(given) != 1 and all(is_known(attributes[n]) for n in given):
            problems.append(((given[-1],) if given else (), "needs exactly one of 'Body' and 'Source'"))
        return problems

    def id_of(self, client: Aws, attributes: Map) -> str:
        return f"{attributes['Bucket']}/{attributes['Key']}"

    def _keyed(self, operation: str, id: str) -> dict[str, Any]:
        bucket, _, key = id.partition("/")
        return {"Bucket": bucket, "Key": key}

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        return await client.run(self._put, client, desired, token, make=True)

    def _put(self, client: Aws, desired: Desired, token: str, *, make: bool = False) -> Observed:
        self._check(desired)
        attributes = desired.attributes
        data = self._bytes(client, attributes)
        digest = str(attributes.get("SourceDigest") or sha256(data))
        metadata = {**(attributes.get("Metadata") or {}), _DIGEST: digest, _OP: token}
        sent = {n: attributes[n] for n in ("ContentType", "StorageClass", "CacheControl") if attributes.get(n)}
        id = self.id_of(client, attributes)
        only = {"IfNoneMatch": "*"} if make else {}
        try:
            answer = client.call("s3", "PutObject", **self._keyed("PutObject", id), Body=data, Metadata=metadata, **sent, **only)
        except Invalid as failure:
            if "PreconditionFailed" in failure.message:
                raise AlreadyExists(
                    f"there is an object s3://{id} already, which this spec did not make", import_id=id, path=("Key",)
                ) from None
            self.place(failure, attributes)
            raise
        told = {"ETag": answer.get("ETag", ""), "VersionId": answer.get("VersionId") or "", "Digest": digest, "Uri": f"s3://{id}"}
        return Observed(id, Map({**attributes, **told}))

    @staticmethod
    def _bytes(client: Aws, attributes: Map) -> bytes:
        if attributes.get("Body") is not None:
            return str(attributes["Body"]).encode()
        try:
            return (client.base / str(attributes["Source"])).read_bytes()
        except OSError as error:
            raise Invalid(f"{attributes['Source']} cannot be read: {error.strerror}", path=("Source",)) from None

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        try:
            answer: Raw = (call or client.call)("s3", "HeadObject", **self._keyed("HeadObject", id))
        except NotFound:
            return None
        return answer

    def _as_wanted(self, client: Aws, id: str, raw: Raw, wanted: Map) -> Observed:
        bucket, _, key = id.partition("/")
        metadata = {k.lower(): v for k, v in (raw.get("Metadata") or {}).items()}
        own = {k: v for k, v in metadata.items() if k not in (_DIGEST, _OP)}
        told: dict[str, Value] = {
            "Bucket": bucket,
            "Key": key,
            "Metadata": Map(own) if own or "Metadata" in wanted else None,
            "ContentType": raw.get("ContentType"),
            "StorageClass": raw.get("StorageClass") or "STANDARD",
            "CacheControl": raw.get("CacheControl"),
        }
        found = {**{n: told.get(n, wanted[n]) for n in wanted if n in self._given}}
        found["Digest"] = metadata.get(_DIGEST, "")
        found["ETag"], found["VersionId"], found["Uri"] = raw.get("ETag", ""), raw.get("VersionId") or "", f"s3://{id}"
        return Observed(id, Map({k: v for k, v in found.items()}))

    def _is_mine(self, client: Aws, id: str, raw: Raw, desired: Desired, token: str) -> bool:
        return {k.lower(): v for k, v in (raw.get("Metadata") or {}).items()}.get(_OP) == token

    def _adopt(self, client: Aws, id: str) -> Observed | None:
        raw = self._look(client, id) if "/" in id else None
        if raw is None:
            return None
        seen = self._as_wanted(client, id, raw, Map(Bucket="", Key="", ContentType=""))
        return Observed(id, Map({k: v for k, v in seen.attributes.items() if v is not None}))

    async def update(self, client: Aws, recorded: ResourceState, desired: Desired) -> Observed:
        raw = await client.run(self._look, client, recorded.id) or {}
        token = {k.lower(): v for k, v in (raw.get("Metadata") or {}).items()}.get(_OP, "")
        return await client.run(self._put, client, desired, token)


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


OBJECT = Object(
    Table(
        type="aws.s3_object",
        cloudformation="",
        service="s3",
        create="PutObject",
        read="HeadObject",
        delete="DeleteObject",
        extra={
            "properties": {
                "Bucket": {"type": "string", "minLength": 1},
                "Key": {"type": "string", "minLength": 1, "maxLength": 1024},
                "Body": {"type": "string"},
                "Source": {"type": "string"},
                "SourceDigest": {"type": "string"},
                "ContentType": {"type": "string"},
                "CacheControl": {"type": "string"},
                "StorageClass": {"type": "string"},
                "Metadata": {"type": "object"},
            },
            "required": ["Bucket", "Key"],
        },
        silent=("Body", "Source", "SourceDigest"),
        immutable={"Bucket": _NAMED, "Key": _NAMED},
        computed={"ETag": "", "VersionId": "", "Digest": "", "Uri": ""},
        volatile=("ETag", "VersionId"),
        inside=("Bucket",),
        holds_data=True,
    )
)
