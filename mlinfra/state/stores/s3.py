"""State in Amazon S3, or what speaks its protocol. Writes are conditional (``If-None-Match: *``, ``If-Match: ETag``).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable
from mlinfra.state.stores.settings import S3Settings
from mlinfra.state.stores.writing import ours

_CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_ABSENT = {"NoSuchKey", "404"}
_BATCH = 1000
"""Keys that one DeleteObjects takes."""


class S3Store:
    """Objects of one bucket. The version is the ETag. Clients of boto3 may be shared between threads."""

    remote = True

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._settings = settings
        self._guard = threading.Lock()
        self._made: Any = None
        self._proven = settings.endpoint_url is None
        """Whether conditional writes are known to be honoured: AWS does; what only speaks its protocol shows it first."""

    def get(self, key: str) -> Blob | None:
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._prefix + key)
            return Blob(answer["Body"].read(), answer["ETag"])
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _ABSENT:
                return None
            raise self._unavailable(error) from error

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        if not self._proven:
            self._prove()
        return self._put(key, data, version)

    def list(self, prefix: str) -> list[str]:
        try:
            pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            found = [item["Key"][len(self._prefix) :] for page in pages for item in page.get("Contents", ())]
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error
        return sorted(found)

    def delete(self, key: str) -> None:
        try:
            self._client().delete_object(Bucket=self._bucket, Key=self._prefix + key)
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error

    def delete_many(self, keys: Iterable[str]) -> None:
        """One request for 1,000 keys."""
        named = [{"Key": self._prefix + key} for key in keys]
        for start in range(0, len(named), _BATCH):
            try:
                answer = self._client().delete_objects(
                    Bucket=self._bucket, Delete={"Objects": named[start : start + _BATCH], "Quiet": True}
                )
            except (ClientError, BotoCoreError) as error:
                raise self._unavailable(error) from error
            for failed in answer.get("Errors", ()):
                raise StoreUnavailable(f"s3://{self._bucket}/{failed['Key']} cannot be deleted: {failed.get('Message', '')}")

    def close(self) -> None:
        with self._guard:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _put(self, key: str, data: bytes, version: str | None) -> str:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        try:
            answer = self._client().put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=data, ContentType="application/octet-stream",
                **condition, **self._encryption(),
            )  # fmt: skip
        except ClientError as error:
            code = _code(error)
            if code in _CONFLICTS or (version is not None and code in _ABSENT):
                if error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0):
                    return ours(lambda: self.get(key), data)
                raise StoreConflict(key) from None
            raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error
        version_now: str = answer["ETag"]
        return version_now

    def _prove(self) -> None:
        """Once a process: a server that ignores the conditions would let two writers overwrite each other in silence."""
        key = f".conditional-writes-{uuid.uuid4().hex}"
        self._put(key, b"1", None)
        try:
            self._put(key, b"2", None)
        except StoreConflict:
            self._proven = True
            return
        finally:
            with suppress(StoreUnavailable):
                self.delete(key)
        raise StoreUnavailable(
            f"the server at {self._settings.endpoint_url} ignores conditional writes (If-None-Match): "
            "two runs could overwrite each other's state",
            "update it to a version that honours them, or keep the state elsewhere",
        )

    def _encryption(self) -> dict[str, str]:
        s = self._settings
        sse = s.sse or ("aws:kms" if s.kms_key_id else None)
        found: dict[str, str] = {"ServerSideEncryption": sse} if sse else {}
        return {**found, "SSEKMSKeyId": s.kms_key_id} if s.kms_key_id else found

    def _client(self) -> Any:
        with self._guard:
            if self._made is None:
                s = self._settings
                style = {"addressing_style": "path"} if s.path_style or s.endpoint_url else {}
                config = Config(
                    retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, read_timeout=60, s3=style
                )
                try:
                    session = boto3.session.Session(profile_name=s.profile, region_name=s.region)
                    self._made = session.client("s3", endpoint_url=s.endpoint_url, config=config)
                except BotoCoreError as error:
                    raise self._unavailable(error) from error
            return self._made

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        where = f"s3://{self._bucket}"
        code = _code(error)
        if code == "NoSuchBucket":
            return StoreUnavailable(
                f"there is no bucket {self._bucket!r} for the state",
                f"make it first: aws s3api create-bucket --bucket {self._bucket} (with versioning and without public access)",
            )
        if code in ("AccessDenied", "403", "AllAccessDisabled"):
            return StoreUnavailable(
                f"the state in {where} refuses access: {_said(error)}",
                "the credentials need s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject on it",
            )
        if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"):
            return StoreUnavailable(f"the state in {where} refuses the credentials: {_said(error)}", "sign in to AWS again")
        if isinstance(error, NoCredentialsError):
            return StoreUnavailable(
                f"the state is in {where}, but no AWS credentials were found",
                "aws configure sso, AWS_PROFILE, AWS_ACCESS_KEY_ID …, or state.profile in the spec",
            )
        if isinstance(error, BotoCoreError):
            return StoreUnavailable(
                f"the state in {where} cannot be reached: {_said(error)}", "check network, region and profile"
            )
        return StoreUnavailable(f"the state in {where} cannot be used: {_said(error)}")


def _code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        return f"{told.get('Message') or 'no reason given'} ({told.get('Code', 'unknown')})"
    return str(error)
