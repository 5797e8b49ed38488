"""The connection of the AWS provider. botocore is known to it, ``sessions.py`` and ``models.py`` alone, and imported when it is first
needed.

Calls are synchronous and made in a pool of threads (:meth:`Aws.run`): one hand-over an operation, whatever number of requests it makes.
botocore repeats nothing by itself unless ``retry_mode`` says so: the engine does, and slows down when AWS asks for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Conflict, Denied, Failure, Invalid, NotFound, Throttled, Transient
from mlinfra.provider.limiter import slow_down
from mlinfra_aws.engine.batch import Batcher
from mlinfra_aws.faults import failure_of, refused
from mlinfra_aws.models import pagination
from mlinfra_aws.sessions import client_of, pages, region_of, request, session_of, unreachable

if TYPE_CHECKING:
    from mlinfra.provider.zilliz.client import Zilliz
    from mlinfra_aws.settings import AwsConfig

P = ParamSpec("P")
T = TypeVar("T")
_PATIENCE = 8
"""Attempts at a request in the middle of an operation, which cannot simply be begun anew."""
_READING = ("Get", "List", "Describe", "Head")


class Aws:
    """One account and region. ``made`` remembers, by ARN and by name, which roles this process made, and when."""

    def __init__(self, config: AwsConfig, context: ProviderContext) -> None:
        self.config = config
        self.project = context.project
        self.environment = context.environment
        self.base = context.base
        self.excluded = context.excluded
        self.batcher = Batcher()
        self.made: dict[str, float] = {}
        self._pool = ThreadPoolExecutor(config.max_concurrency, thread_name_prefix="mlinfra-aws")
        self._guard = threading.Lock()
        self._sessions: Any = None
        self._clients: dict[str, Any] = {}
        self._identity: tuple[str, str] | None = None
        self._identifying = threading.Lock()
        self._sweeping = threading.Lock()
        self._naming = threading.Lock()
        self._names: dict[str, tuple[float, set[str] | None]] = {}
        self._recalling = threading.Lock()
        self._recalled: dict[str, dict[str, tuple[float, Any]]] = {}
        self.learning = threading.Lock()
        self.tags_buckets: bool | None = None
        """Whether a bucket is made with its tags; None: not tried yet. AWS does, what only speaks its protocol may not."""
        self._swept: tuple[float, Mapping[str, Mapping[str, str]] | None] | None = None

    @cached_property
    def zilliz(self) -> Zilliz:
        from mlinfra.provider.zilliz.client import Zilliz
        from mlinfra.provider.zilliz.settings import ZillizSettings

        return Zilliz(ZillizSettings.model_validate(self.config.zilliz))

    async def open(self) -> None:
        """Find the credentials, and refuse the wrong account."""
        await self.run(self._open)

    def _open(self) -> None:
        from botocore.exceptions import BotoCoreError

        try:
            session = self._session()
            if session.get_credentials() is None:
                raise Denied(
                    "no AWS credentials were found",
                    hint="aws configure sso, AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of this machine",
                )
            if not region_of(session):
                raise Invalid("no AWS region is set", hint="providers: {aws: {region: eu-central-1}}, or AWS_REGION")
        except BotoCoreError as error:
            raise unreachable(error) from None
        if self.config.allowed_account_ids and self.account not in self.config.allowed_account_ids:
            raise Denied(
                f"the credentials are those of account {self.account}, but only "
                f"{', '.join(self.config.allowed_account_ids)} is allowed here",
                hint="sign in to the right account, or change allowed_account_ids",
            )

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``function`` in the pool of threads, with this task's context."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(function, *args, **kwargs))

    # a store of blobs, as mlinfra.provider.runs.kept has it

    async def upload(
        self, place: str, name: str, source: FilePath | bytes, *, content_type: str = "application/octet-stream"
    ) -> None:
        body = source if isinstance(source, bytes) else await self.run(source.read_bytes)
        await self.run(lambda: self.insist("s3", "PutObject", Bucket=place, Key=name, Body=body, ContentType=content_type))

    async def download(self, place: str, name: str) -> bytes | None:
        def fetch() -> bytes | None:
            try:
                found: bytes = self.insist("s3", "GetObject", Bucket=place, Key=name)["Body"].read()
            except NotFound:
                return None
            return found

        return await self.run(fetch)

    async def objects(self, place: str, prefix: str) -> dict[str, tuple[int, str]]:
        rows = await self.run(lambda: self.listed("s3", "ListObjectsV2", "Contents", Bucket=place, Prefix=prefix))
        return {row["Key"]: (int(row["Size"]), str(row["ETag"])) for row in rows}

    async def remove_objects(self, place: str, prefix: str) -> int:
        from mlinfra_aws.objects import delete

        found = await self.objects(place, prefix)
        await self.run(delete, self, place, found)
        return len(found)

    async def close(self) -> None:
        if "zilliz" in vars(self):
            await self.zilliz.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    @property
    def region(self) -> str:
        return str(region_of(self._session()))

    @property
    def account(self) -> str:
        """The account's number; asked once."""
        return self._who()[0]

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ``aws-us-gov`` …"""
        region = self.region
        return next(
            (p for r, p in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("eusc-", "aws-eusc")) if region.startswith(r)), "aws"
        )

    def _who(self) -> tuple[str, str]:
        with self._identifying:
            if self._identity is None:
                told = self.insist("sts", "GetCallerIdentity")
                self._identity = (str(told["Account"]), str(told["Arn"]))
            return self._identity

    def call(self, service: str, operation: str, *, path: Any = (), **parameters: Any) -> dict[str, Any]:
        """One request. Raises only failures; ``path`` is the attribute that a refusal is about."""
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
        from botocore.parsers import ResponseParserError

        if service in self._recalled and not operation.startswith(_READING):
            self._recalled.pop(service, None)
        try:
            answer = request(self._client(service), operation, parameters)
        except ClientError as error:
            raise self._failure(service, operation, error, path) from None
        except ParamValidationError as error:
            raise Invalid(f"{service}:{operation}: {error}", path=path) from None
        except ResponseParserError as error:
            raise Transient(f"{service}:{operation}: an answer that is none of AWS's: {error}", path=path) from None
        except BotoCoreError as error:
            raise unreachable(error) from None
        answer.pop("ResponseMetadata", None)
        return answer

    def _failure(self, service: str, operation: str, error: Any, path: Any = ()) -> Failure:
        """What AWS said of the call, or of the role that it was to be made as."""
        role = self.config.assume_role
        if role is None or error.operation_name != "AssumeRole" or operation == "AssumeRole":
            return failure_of(service, refused(error.response, operation), path=path)
        told = failure_of("sts", refused(error.response, "AssumeRole"))
        if isinstance(told, (Throttled, Transient)):
            return told
        hint = "assume_role: its trust policy must name the credentials that you come with, and these need sts:AssumeRole on it"
        return Denied(f"the role {role.role_arn} cannot be assumed: {told.message}", hint=hint)

    def insist(self, service: str, operation: str, *, path: Any = (), **parameters: Any) -> dict[str, Any]:
        """:meth:`call`, repeated while it can help: for what stands in the middle of an operation."""
        for attempt in range(1, _PATIENCE):
            try:
                return self.call(service, operation, path=path, **parameters)
            except (Throttled, Transient, Conflict) as failure:
                if isinstance(failure, Throttled):
                    slow_down()
                time.sleep(random.uniform(0.05, min(8.0, 0.1 * 2**attempt)))
        return self.call(service, operation, path=path, **parameters)

    def pages_of(self, service: str, operation: str, items: str, **parameters: Any) -> Iterator[list[Any]]:
        """The pages of a list call, each as its items; botocore's paginator says how to turn them where there is one."""
        from botocore.exceptions import BotoCoreError, ClientError

        turning = pagination(service, operation)
        if turning is None:
            yield list(self.call(service, operation, **parameters).get(items) or ())
            return
        try:
            for page in pages(self._client(service), operation, turning, parameters):
                yield list(page.get(items) or ())
        except ClientError as error:
            raise self._failure(service, operation, error) from None
        except BotoCoreError as error:
            raise unreachable(error) from None

    def listed(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        """All items of a list call."""
        return [item for page in self.pages_of(service, operation, items, **parameters) for item in page]

    def tagged(self) -> Mapping[str, Mapping[str, str]] | None:
        """ARN → tags of everything that carries this project's and environment's marks, by one sweep of the tagging API, which is
        used for a few seconds. None when the credentials may not ask, or it does not answer.

        The index behind it lags by seconds: it is believed only where it agrees with what is recorded."""
        with self._sweeping:
            if self._swept is None or time.monotonic() - self._swept[0] > 20.0:
                found: Mapping[str, Mapping[str, str]] | None
                try:
                    filters = [
                        {"Key": "mlinfra:project", "Values": [self.project]},
                        {"Key": "mlinfra:env", "Values": [self.environment]},
                    ]
                    rows = self.listed(
                        "resourcegroupstaggingapi",
                        "GetResources",
                        "ResourceTagMappingList",
                        TagFilters=filters,
                        ResourcesPerPage=100,
                    )
                    found = {r["ResourceARN"]: {t["Key"]: t["Value"] for t in r.get("Tags", ())} for r in rows}
                except Failure:
                    found = None
                self._swept = (time.monotonic(), found)
            return self._swept[1]

    def names(self, of: str, listed: Callable[[], tuple[Mapping[str, Any], bool]]) -> set[str] | None:
        """The ids that ``listed`` tells, asked once a minute; None when it cannot tell all of them."""
        with self._naming:
            known = self._names.get(of)
            if known is None or time.monotonic() - known[0] > 60.0:
                found, whole = listed()
                known = self._names[of] = (time.monotonic(), set(found) if whole else None)
            return known[1]

    def name_taken(self, of: str, id: str, *, gone: bool = False) -> None:
        """Keep what :meth:`names` tells true: this process made, or deleted, the object."""
        with self._naming:
            known = self._names.get(of)
            if known is not None and known[1] is not None:
                (known[1].discard if gone else known[1].add)(id)

    def recalled(self, service: str, of: str, asked: Callable[[], T]) -> T:
        """What ``asked`` answers, for a few seconds: what several types are read from is asked for once. A change that this process
        makes to the service is the end of it."""
        with self._recalling:
            known = self._recalled.get(service, {}).get(of)
            if known is None or time.monotonic() - known[0] > 20.0:
                known = self._recalled.setdefault(service, {})[of] = (time.monotonic(), asked())
            found: T = known[1]
            return found

    def forget_tags(self) -> None:
        """Something was tagged: the last sweep is old."""
        self._swept = None

    def _session(self) -> Any:
        with self._guard:
            if self._sessions is None:
                self._sessions = session_of(self.config)
            return self._sessions

    def _client(self, service: str) -> Any:
        found = self._clients.get(service)
        if found is None:
            session = self._session()
            with self._guard:
                if service not in self._clients:
                    self._clients[service] = client_of(session, service, self.config)
                found = self._clients[service]
        return found
