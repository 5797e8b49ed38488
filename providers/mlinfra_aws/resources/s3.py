"""S3: buckets and objects. A bucket is a name, and a dozen settings with an operation each; only those that a spec speaks of are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import EMPTY, Map, Path, Value
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra_aws.client import Aws
from mlinfra_aws.engine import tags as tagging
from mlinfra_aws.engine.answers import Raw
from mlinfra_aws.engine.checks import by_shape
from mlinfra_aws.engine.resource import TableType
from mlinfra_aws.engine.schema import known_text
from mlinfra_aws.engine.table import Listing, Table
from mlinfra_aws.engine.tags import Tags
from mlinfra_aws.engine.translate import from_api, project, to_api
from mlinfra_aws.models import input_shape
from mlinfra_aws.resources.s3_lifecycle import rules_from_api, rules_to_api


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a bucket. ``put`` takes it as ``parameter``, ``get`` answers it (under ``answer``; ``""``: as the whole), ``off``
    is what puts it out of force: an operation without parameters, or the value to put."""

    put: str
    get: str
    parameter: str
    answer: str = ""
    off: str | Mapping[str, Any] = ""
    absent: str = ""
    names: Mapping[str, str] = EMPTY


SETTINGS: Mapping[str, Setting] = {
    "VersioningConfiguration": Setting(
        put="PutBucketVersioning", get="GetBucketVersioning", parameter="VersioningConfiguration", off={"Status": "Suspended"}
    ),
    "BucketEncryption": Setting(
        put="PutBucketEncryption", get="GetBucketEncryption", parameter="ServerSideEncryptionConfiguration",
        answer="ServerSideEncryptionConfiguration", off="DeleteBucketEncryption",
        names={"ServerSideEncryptionConfiguration": "Rules", "ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"},
    ),
    "PublicAccessBlockConfiguration": Setting(
        put="PutPublicAccessBlock", get="GetPublicAccessBlock", parameter="PublicAccessBlockConfiguration",
        answer="PublicAccessBlockConfiguration", off="DeletePublicAccessBlock",
    ),
    "LifecycleConfiguration": Setting(
        put="PutBucketLifecycleConfiguration", get="GetBucketLifecycleConfiguration", parameter="LifecycleConfiguration",
        off="DeleteBucketLifecycle",
    ),
    "CorsConfiguration": Setting(
        put="PutBucketCors", get="GetBucketCors", parameter="CORSConfiguration", off="DeleteBucketCors",
        names={"CorsRules": "CORSRules", "MaxAge": "MaxAgeSeconds", "ExposedHeaders": "ExposeHeaders", "Id": "ID"},
    ),
    "OwnershipControls": Setting(
        put="PutBucketOwnershipControls", get="GetBucketOwnershipControls", parameter="OwnershipControls", answer="OwnershipControls",
        off="DeleteBucketOwnershipControls",
    ),
    "AccelerateConfiguration": Setting(
        put="PutBucketAccelerateConfiguration", get="GetBucketAccelerateConfiguration", parameter="AccelerateConfiguration",
        off={"Status": "Suspended"}, names={"AccelerationStatus": "Status"},
    ),
}  # fmt: skip
_NONE = ("NoSuchLifecycleConfiguration", "ServerSideEncryptionConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration",
         "NoSuchCORSConfiguration", "OwnershipControlsNotFoundError", "NoSuchTagSet")  # fmt: skip


_TODAY = timedelta(days=1)


class Bucket(TableType):
    """``aws.s3_bucket``. ``ForceDestroy`` (not CloudFormation's) lets a delete empty it first."""

    reshaped = frozenset(SETTINGS)

    def predict(self, attributes: Map) -> Mapping[str, Value]:
        name = known_text(attributes.get("BucketName"))
        return {"DomainName": f"{name}.s3.amazonaws.com"} if name else {}

    def check_shapes(self, attributes: Map) -> list[tuple[Path, str]]:
        found: list[tuple[Path, str]] = []
        for name, setting in SETTINGS.items():
            if name in attributes and name != "LifecycleConfiguration":
                shape = input_shape("s3", setting.put).members[setting.parameter]
                found += by_shape(shape, attributes[name], (name,), setting.names)
        bucket = known_text(attributes.get("BucketName")) or ""
        if ".." in bucket or bucket.startswith(("xn--", "sthree-")) or bucket.endswith("-s3alias"):
            found.append((("BucketName",), f"{bucket!r} is no bucket name: it is reserved, or has two dots together"))
        return found

    async def create(self, client: Aws, desired: Desired, token: str) -> Observed:
        wanted = self.named(client, desired)
        name = str(wanted.attributes["BucketName"])
        # us-east-1 answers success when the bucket is there and is the account's own
        if await self.is_taken(client, name):
            raise AlreadyExists(
                f"the bucket {name} is there already, in this account, and not made by this spec",
                import_id=name,
                path=("BucketName",),
            )
        return await self._patiently(client, wanted, token)

    def _make(self, client: Aws, desired: Desired, token: str) -> Observed:
        self._check(desired)
        attributes = desired.attributes
        name = str(attributes["BucketName"])
        marks = self._all_tags(client, desired, token)
        configuration: dict[str, Any] = {"Tags": tagging.sent("list", marks)}
        if client.region != "us-east-1":
            configuration["LocationConstraint"] = client.region
        lock = {"ObjectLockEnabledForBucket": True} if attributes.get("ObjectLockEnabled") else {}
        client.call("s3", "CreateBucket", Bucket=name, CreateBucketConfiguration=configuration, **lock)
        observed = self._observed(client, name, {}, attributes, answered=True)
        try:
            if not self._tags_at_once(client, name):
                client.insist("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": tagging.sent("list", marks)})
            for setting in SETTINGS:
                if attributes.get(setting) is not None:
                    self._set(client, name, setting, attributes[setting])
        except Failure as failure:
            failure.partial = failure.partial or observed
            self.place(failure, attributes)
            raise
        return observed

    def _tags_at_once(self, client: Aws, bucket: str) -> bool:
        """Whether the create has tagged the bucket, as AWS does and what only speaks its protocol may not: asked once."""
        with client.learning:
            if client.tags_buckets is None:
                client.tags_buckets = tagging.OP in self._tags(client, Observed(bucket, Map()), {})
            return client.tags_buckets

    def _find(self, client: Aws, desired: Desired, token: str) -> Observed | None:
        name = str(desired.attributes["BucketName"])
        if self._was_left_unmarked(client, name):
            marks = tagging.sent("list", self._all_tags(client, desired, token))
            client.insist("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": marks})
        return super()._find(client, desired, token)

    def _was_left_unmarked(self, client: Aws, bucket: str) -> bool:
        """Whether it can only be what a create made that was cut off before it could tag it: of today, with no tag and nothing in it.
        Where the create tags at once there is none."""
        made = next(
            (b["CreationDate"] for b in client.listed("s3", "ListBuckets", "Buckets", Prefix=bucket) if b["Name"] == bucket), None
        )
        if made is None or (datetime.now(UTC) - made) > _TODAY:
            return False
        if self._tags(client, Observed(bucket, Map()), {}):
            return False
        return not client.insist("s3", "ListObjectVersions", Bucket=bucket, MaxKeys=1).get("Versions")

    def _set(self, client: Aws, bucket: str, name: str, value: Value) -> None:
        setting = SETTINGS[name]
        shape = input_shape("s3", setting.put).members[setting.parameter]
        sent = rules_to_api(value) if name == "LifecycleConfiguration" else to_api(shape, value, setting.names)
        client.insist("s3", setting.put, path=(name,), Bucket=bucket, **{setting.parameter: sent})

    def _unset(self, client: Aws, bucket: str, name: str) -> None:
        setting = SETTINGS[name]
        if isinstance(setting.off, str):
            client.insist("s3", setting.off, Bucket=bucket)
        else:
            client.insist("s3", setting.put, Bucket=bucket, **{setting.parameter: dict(setting.off)})

    def _computed(self, client: Aws, id: str, name: str, path: str, raw: Raw) -> Value:
        if name == "Arn":
            return f"arn:{client.partition}:s3:::{id}"
        if name == "RegionalDomainName":
            return f"{id}.s3.{client.region}.amazonaws.com"
        return f"{id}.s3.amazonaws.com"

    def _look(self, client: Aws, id: str, call: Callable[..., Any] | None = None) -> Raw | None:
        try:
            (call or client.call)("s3", "HeadBucket", Bucket=id)
        except NotFound:
            return None
        return {"BucketName": id}

    def _read_with(self, client: Aws, recorded: ResourceState, call: Callable[..., Any]) -> Observed | None:
        """The settings that are recorded, and no others: each is a request. Any of them tells whether the bucket is there."""
        asked = [n for n in SETTINGS if n in recorded.attributes]
        bucket = recorded.id
        try:
            if not asked:
                call("s3", "HeadBucket", Bucket=bucket)
            seen = {n: self._get(client, bucket, n, call) for n in asked}
        except NotFound:
            return None
        observed = self._observed(client, bucket, {}, recorded.attributes)
        attributes = {**observed.attributes, **{k: v for k, v in recorded.attributes.items() if k in ("BucketName", *self.own)}}
        for name in asked:
            attributes[name] = self._as(name, recorded.attributes[name], seen[name])
        found = Observed(bucket, Map(attributes))
        return Observed(bucket, Map({**attributes, "Tags": self._tags_seen(client, found, {}, recorded.attributes)}))

    own = ("ForceDestroy", "ObjectLockEnabled")

    @staticmethod
    def _as(name: str, wanted: Value, seen: Value) -> Value:
        """What stands, in the words in which it was wanted: a lifecycle rule can be said in several."""
        if name == "LifecycleConfiguration" and isinstance(wanted, Map) and seen == rules_from_api(rules_to_api(wanted)):
            return wanted
        return project(wanted, seen)

    def _get(self, client: Aws, bucket: str, name: str, call: Callable[..., Any]) -> Value:
        setting = SETTINGS[name]
        try:
            answer = call("s3", setting.get, Bucket=bucket)
        except (NotFound, Invalid) as failure:
            if any(code in failure.message for code in _NONE):
                return None
            raise
        if name == "LifecycleConfiguration":
            return rules_from_api(answer)
        value = answer.get(setting.answer) if setting.answer else answer
        names = {ours: api for ours, api in setting.names.items()}
        found = from_api(self.published, self.published.properties[name], value, names)
        return found or None

    def _tags(self, client: Aws, observed: Observed, raw: Raw) -> dict[str, str]:
        try:
            return tagging.told(client.insist("s3", "GetBucketTagging", Bucket=observed.id).get("TagSet"))
        except (NotFound, Invalid) as failure:
            if "NoSuchTagSet" in failure.message:
                return {}
            raise

    def _tag(self, client: Aws, observed: Observed, add: Mapping[str, str], remove: frozenset[str]) -> None:
        """S3 takes the whole set: what others put there stays."""
        kept = {k: v for k, v in self._tags(client, observed, {}).items() if k not in remove and not k.startswith("aws:")}
        tags = tagging.sent("list", {**kept, **add})
        client.insist("s3", "PutBucketTagging", Bucket=observed.id, Tagging={"TagSet": tags})
        client.forget_tags()

    def _as_wanted(self, client: Aws, id: str, raw: Raw, wanted: Map) -> Observed:
        plain = Map({k: v for k, v in wanted.items() if k not in SETTINGS})
        seen = super()._as_wanted(client, id, raw, plain)
        told = self._properties(client, id, raw, frozenset(n for n in SETTINGS if n in wanted))
        return Observed(id, Map({**seen.attributes, **{n: self._as(n, wanted[n], v) for n, v in told.items()}}))

    def _properties(self, client: Aws, id: str, raw: Raw, names: frozenset[str]) -> dict[str, Value]:
        found: dict[str, Value] = {"BucketName": id} if "BucketName" in names else {}
        for name in SETTINGS:
            if name in names:
                found[name] = self._get(client, id, name, client.insist)
        return found

    def _complete_half(self, client: Aws, found: Observed, desired: Desired) -> Observed:
        attributes = {**found.attributes}
        for name in SETTINGS:
            if desired.attributes.get(name) is not None and attributes.get(name) != desired.attributes[name]:
                self._set(client, found.id, name, desired.attributes[name])
                attributes[name] = desired.attributes[name]
        attributes.update({k: v for k, v in desired.attributes.items() if k in self.own})
        return Observed(found.id, Map(attributes))

    def _change(self, client: Aws, recorded: ResourceState, desired: Desired, changed: frozenset[str]) -> None:
        for name in SETTINGS:
            if name in changed:
                if desired.attributes.get(name) is None:
                    self._unset(client, recorded.id, name)
                else:
                    self._set(client, recorded.id, name, desired.attributes[name])
        if "Tags" in changed:
            self._retag(client, recorded, desired)

    def _delete(self, client: Aws, recorded: ResourceState) -> None:
        if recorded.attributes.get("ForceDestroy"):
            empty(client, recorded.id)
        client.call("s3", "DeleteBucket", Bucket=recorded.id)

    async def stake(self, client: Aws, recorded: ResourceState) -> str:
        return await client.run(_stake, client, recorded.id)


def empty(client: Aws, bucket: str) -> None:
    """Delete every version of every object."""
    for page in client.pages_of("s3", "ListObjectVersions", "Versions", Bucket=bucket):
        _remove(client, bucket, page)
    for page in client.pages_of("s3", "ListObjectVersions", "DeleteMarkers", Bucket=bucket):
        _remove(client, bucket, page)


def _remove(client: Aws, bucket: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        named = [{"Key": r["Key"], "VersionId": r["VersionId"]} for r in rows]
        client.insist("s3", "DeleteObjects", Bucket=bucket, Delete={"Objects": named, "Quiet": True})


def _stake(client: Aws, bucket: str) -> str:
    try:
        answer = client.call("s3", "ListObjectsV2", Bucket=bucket, MaxKeys=1000)
    except Failure:
        return ""
    count = int(answer.get("KeyCount") or 0)
    if not count:
        return ""
    return f"more than {count:,} objects" if answer.get("IsTruncated") else f"{count:,} objects"


BUCKET = Bucket(
    Table(
        type="aws.s3_bucket",
        cloudformation="AWS::S3::Bucket",
        service="s3",
        name="BucketName",
        key="Bucket",
        create="CreateBucket",
        read="HeadBucket",
        delete="DeleteBucket",
        only=("BucketName", "Tags", "ObjectLockEnabled", *SETTINGS),
        extra={"properties": {"ForceDestroy": {"type": "boolean"}}},
        silent=("ForceDestroy", "ObjectLockEnabled"),
        computed={"Arn": "", "DomainName": "", "RegionalDomainName": ""},
        arn="Arn",
        tags=Tags(at_create=""),
        listing=Listing(operation="ListBuckets", items="Buckets", id="Name"),
        holds_data=True,
    )
)
