"""The connection of the AWS provider. The only file that knows boto3 and botocore; both are imported when they are first needed.

Calls are synchronous and made in a pool of threads (:meth:`Aws.run`): one hand-over an operation, whatever number of requests it makes.
botocore repeats nothing by itself unless ``retry_mode`` says so: the engine does, and slows down when AWS asks for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import gzip
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path as FilePath
from typing import Any, ParamSpec, TypeVar

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Conflict, Denied, Failure, Invalid, NotFound, Throttled, Transient
from mlinfra.provider.limiter import slow_down
from mlinfra.provider.zilliz.client import Zilliz
from mlinfra_aws.engine.batch import Batcher
from mlinfra_aws.faults import failure_of, refused
from mlinfra_aws.settings import AwsConfig

P = ParamSpec("P")
T = TypeVar("T")
_PATIENCE = 8
"""Attempts at a request in the middle of an operation, which cannot simply be begun anew."""
_READING = ("Get", "List", "Describe", "Head")


@cache
def loader() -> Any:
    """botocore's data files, each read once, for the checks of a plan and the calls of an apply alike. Their documentation, which is
    two thirds of what they take in memory, is left empty."""
    import botocore.loaders

    class Undocumented(botocore.loaders.JSONFileLoader):  # type: ignore[misc]
        def load_file(self, file_path: str) -> Any:
            for name, opened in ((f"{file_path}.json", open), (f"{file_path}.json.gz", gzip.open)):
                with suppress(FileNotFoundError), opened(name, "rb") as file:
                    return json.loads(file.read(), object_pairs_hook=_without_documentation)
            return None

    return botocore.loaders.Loader(file_loader=Undocumented())


def _without_documentation(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: "" if key == "documentation" and type(value) is str else value for key, value in pairs}


@cache
def service_model(service: str) -> Any:
    """botocore's model of a service (``service_model("s3").operation_model("CreateBucket")``): a data file, no credentials needed."""
    from botocore.model import ServiceModel

    return ServiceModel(loader().load_service_model(service, "service-2"), service)


def input_shape(service: str, operation: str) -> Any:
    """The shape of an operation's parameters; an empty structure's ``members`` when it takes none."""
    return service_model(service).operation_model(operation).input_shape


@cache
def _method(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


class Aws:
    """One account and region. ``made`` remembers, by ARN and by name, which roles this process made, and when."""

    def __init__(self, config: AwsConfig, context: ProviderContext) -> None:
        self.config = config
        self.project = context.project
        self.environment = context.environment
        self.base = context.base
        self.excluded = context.excluded
        self.zilliz = Zilliz(config.zilliz)
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
            if not session.region_name:
                raise Invalid("no AWS region is set", hint="providers: {aws: {region: eu-central-1}}, or AWS_REGION")
        except BotoCoreError as error:
            raise _unreachable(error) from None
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
        await self.zilliz.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    @property
    def region(self) -> str:
        return str(self._session().region_name)

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
            answer: dict[str, Any] = getattr(self._client(service), _method(operation))(**parameters)
        except ClientError as error:
            raise self._failure(service, operation, error, path) from None
        except ParamValidationError as error:
            raise Invalid(f"{service}:{operation}: {error}", path=path) from None
        except ResponseParserError as error:
            raise Transient(f"{service}:{operation}: an answer that is none of AWS's: {error}", path=path) from None
        except BotoCoreError as error:
            raise _unreachable(error) from None
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

        client = self._client(service)
        method = _method(operation)
        if not client.can_paginate(method):
            yield list(self.call(service, operation, **parameters).get(items) or ())
            return
        try:
            for page in client.get_paginator(method).paginate(**parameters):
                yield list(page.get(items) or ())
        except ClientError as error:
            raise self._failure(service, operation, error) from None
        except BotoCoreError as error:
            raise _unreachable(error) from None

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
                self._sessions = self._connected()
            return self._sessions

    def _connected(self) -> Any:
        import boto3
        import botocore.session
        from botocore.exceptions import BotoCoreError

        try:
            core = botocore.session.get_session()
            core.register_component("data_loader", loader())
            settings = self.config
            session = boto3.session.Session(botocore_session=core, profile_name=settings.profile, region_name=settings.region)
            role = settings.assume_role
            if role is None:
                return session
            return boto3.session.Session(botocore_session=_as_role(session, role, settings), region_name=session.region_name)
        except BotoCoreError as error:
            raise _unreachable(error) from None

    def _client(self, service: str) -> Any:
        found = self._clients.get(service)
        if found is None:
            session = self._session()
            with self._guard:
                if service not in self._clients:
                    self._clients[service] = session.client(service, **_options(self.config, service))
                found = self._clients[service]
        return found


def _options(settings: AwsConfig, service: str) -> dict[str, Any]:
    from botocore.config import Config

    endpoint = settings.endpoint(service)
    retries = {"mode": "standard", "total_max_attempts": 1} if settings.retry_mode == "mlinfra" else {"mode": settings.retry_mode}
    config = Config(
        retries=retries,
        max_pool_connections=settings.max_concurrency,
        connect_timeout=10,
        read_timeout=120,
        user_agent_extra="mlinfra",
        **({"s3": {"addressing_style": "path"}} if endpoint else {}),
    )
    return {"endpoint_url": endpoint, "config": config}


def _as_role(session: Any, role: Any, settings: AwsConfig) -> Any:
    """A botocore session whose credentials are the role's, renewed when they run out."""
    import botocore.session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    extra = {"RoleSessionName": role.session_name, "DurationSeconds": role.duration}
    if role.external_id:
        extra["ExternalId"] = role.external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **kw: session.client(
            service, **{**{k: v for k, v in kw.items() if k != "config"}, **_options(settings, service)}
        ),
        source_credentials=session.get_credentials(),
        role_arn=role.role_arn,
        extra_args=extra,
    )
    core = botocore.session.get_session()
    core.register_component("data_loader", loader())
    core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return core


def _unreachable(error: Exception) -> Failure:
    """botocore's own errors, before or instead of an answer."""
    from botocore import exceptions as known

    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError, known.CredentialRetrievalError)):
        return Denied(f"no AWS credentials: {error}", hint="aws configure sso, AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret")
    if isinstance(error, (known.TokenRetrievalError, known.SSOError)):
        return Denied(f"the AWS sign-in has run out: {error}", hint="aws sso login")
    if isinstance(error, known.ProfileNotFound):
        return Invalid(str(error), hint="see ~/.aws/config, or leave out the setting profile")
    if isinstance(error, known.NoRegionError):
        return Invalid("no AWS region is set", hint="providers: {aws: {region: eu-central-1}}, or AWS_REGION")
    if isinstance(error, (known.ConnectionError, known.HTTPClientError)):
        return Transient(f"AWS cannot be reached: {error}")
    return Invalid(f"AWS: {error}")
