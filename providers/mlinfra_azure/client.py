"""The connection: azure-identity's credentials, Azure Resource Manager over httpx, blobs through azure-storage-blob.

The only file that touches Azure's libraries; each is imported when it is first needed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Denied, Failure, NotFound, Transient
from mlinfra.provider.limiter import waiting
from mlinfra.provider.ownership import Owner
from mlinfra.provider.progress import say
from mlinfra.provider.zilliz.client import Zilliz
from mlinfra_azure import names, operations
from mlinfra_azure.errors import NotRegistered, failure
from mlinfra_azure.settings import AzureConfig

_TIMEOUT = 60.0
_LONGEST_PAUSE = 30.0
_EARLY = 300.0
"""Seconds before its end in which a token is asked for anew."""
REGISTRATION = "2025-04-01"
"""The api-version of subscriptions and resource providers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is JSON, or nothing. ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def retry_after(self) -> float | None:
        found = self.headers.get("retry-after", "")
        return float(found) if found.isdigit() else None

    @property
    def request_id(self) -> str:
        return self.headers.get("x-ms-request-id") or self.headers.get("x-ms-correlation-request-id", "")


class AzureClient:
    """Settings, credentials and connections of one provider instance."""

    def __init__(self, config: AzureConfig, context: ProviderContext) -> None:
        self.config = config
        self.context = context
        self.subscription = config.subscription
        self.location = config.location
        self.settings: Mapping[str, Any] = config.model_dump()
        self.zilliz = Zilliz(config.zilliz)
        self._credential: Any = None
        self._tokens: dict[str, tuple[str, float]] = {}
        self._http: Any = None
        self._containers: dict[str, Any] = {}
        self._refreshing = asyncio.Lock()
        self._registering: dict[str, asyncio.Lock] = {}

    @property
    def base(self) -> Path:
        """The spec's folder."""
        return self.context.base

    @cached_property
    def group_id(self) -> str:
        """The resource group in which things are made that do not say otherwise."""
        return names.group_id(self.settings, self.context.project, self.context.environment)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What never counts as code."""
        return self.context.excluded

    def owner(self, address: str, token: str) -> Owner:
        return Owner(self.context.project, self.context.environment, address, token)

    async def close(self) -> None:
        await self.zilliz.close()
        if self._http is not None:
            await self._http.aclose()
        for container in self._containers.values():
            await asyncio.to_thread(container.close)
        if self._credential is not None:
            await asyncio.to_thread(self._credential.close)

    # Azure Resource Manager

    async def get(self, id: str, version: str) -> dict[str, Any] | None:
        """The object at an ARM id; None when there is none. Its ETag, where only a header has it, stands under ``etag``."""
        try:
            answer = await self.send("GET", id, version)
        except NotFound:
            return None
        body = dict(answer.body or {})
        if "etag" in answer.headers:
            body.setdefault("etag", answer.headers["etag"])
        return body

    async def put(
        self, id: str, version: str, body: Any, *, etag: str | None = None, what: str = "", limit: float | None = None
    ) -> dict[str, Any]:
        """Make or change the object at an ARM id, wait for the operation, and give the object as it stands then."""
        return await self._changed("PUT", id, version, body, etag, what, limit)

    async def patch(
        self, id: str, version: str, body: Any, *, etag: str | None = None, what: str = "", limit: float | None = None
    ) -> dict[str, Any]:
        return await self._changed("PATCH", id, version, body, etag, what, limit)

    async def delete(
        self, id: str, version: str, *, query: Mapping[str, Any] | None = None, what: str = "", limit: float | None = None
    ) -> None:
        """Delete the object at an ARM id, and wait until it is gone. What is gone already is well."""
        what = what or f"deleting {id.rpartition('/')[2]}"
        try:
            answer = await self.send("DELETE", id, version, query=query)
            await operations.finished(self, answer, resource=id, what=what, limit=limit)
        except NotFound:
            return
        await operations.gone(self, id, version, what=what, limit=limit)

    async def post(
        self, id: str, action: str, version: str, body: Any = None, *, what: str = "", limit: float | None = None
    ) -> Any:
        """One action of an object (``listKeys``, ``cancel``); its answer."""
        answer = await self.send("POST", f"{id}/{action}", version, body=body)
        done = await operations.finished(self, answer, resource=id, what=what or action, limit=limit)
        return done.body

    async def pages(self, path: str, version: str, query: Mapping[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        answer = await self.send("GET", path, version, query=query)
        while True:
            for item in (answer.body or {}).get("value") or ():
                yield item
            following = (answer.body or {}).get("nextLink")
            if not following:
                return
            answer = await self.send_to(following)

    async def send(
        self,
        method: str,
        path: str,
        version: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request below ARM's address; its answer. A resource provider that is not registered is, where the settings allow it."""
        url = names.address(self.settings, "arm") + quote(path, safe="/:@()-_.~$',=")
        params = {"api-version": version, **(query or {})}
        try:
            return await self._send(method, url, params, body, headers, path)
        except NotRegistered as missing:
            if not self.config.register_providers:
                raise
            await self._register(missing.namespace)
            return await self._send(method, url, params, body, headers, path)

    async def send_to(self, url: str) -> Answer:
        """GET what an answer pointed to (``Azure-AsyncOperation``, ``Location``, ``nextLink``). Azure's own addresses only: a token goes along."""
        own, asked = urlsplit(names.address(self.settings, "arm")), urlsplit(url)
        host = own.hostname or ""
        if asked.scheme != own.scheme or not (asked.netloc == own.netloc or (asked.hostname or "").endswith("." + host)):
            raise Failure(f"Azure pointed to {asked.scheme}://{asked.netloc}, which is not {own.scheme}://{own.netloc}")
        return await self._send("GET", url, None, None, None, asked.path)

    async def pause(self, attempt: int, wish: float | None = None) -> None:
        """Wait before the next look: as long as the server wishes, else longer each time. No slot is held."""
        seconds = min(_LONGEST_PAUSE, self.config.poll * 1.5**attempt) if wish is None else wish
        async with waiting():
            await asyncio.sleep(seconds * random.uniform(1.0, 1.2))

    # blobs; a container is named by its address, ``https://ACCOUNT.blob.core.windows.net/CONTAINER`` (with a signature behind it, maybe)

    async def upload(
        self, container: str, name: str, source: Path | bytes, *, content_type: str = "application/octet-stream"
    ) -> None:
        """Write one blob, whatever stood there before. ``source``: a file, or the bytes."""
        await asyncio.to_thread(self._mapped, container, lambda c: _upload(c, name, source, content_type))

    async def download(self, container: str, name: str) -> bytes | None:
        """A blob's bytes; None when there is none."""
        try:
            data: bytes = await asyncio.to_thread(self._mapped, container, lambda c: c.download_blob(name).readall())
        except NotFound:
            return None
        return data

    async def objects(self, container: str, prefix: str) -> dict[str, tuple[int, str]]:
        """Blobs below a prefix: name → (size, MD5 in base64)."""
        return await asyncio.to_thread(self._mapped, container, lambda c: _listed(c, prefix))

    async def remove_objects(self, container: str, prefix: str) -> int:
        """Delete every blob below a prefix; how many there were."""
        return await asyncio.to_thread(self._mapped, container, lambda c: _removed(c, prefix))

    # below: how it is sent

    async def _changed(
        self, method: str, id: str, version: str, body: Any, etag: str | None, what: str, limit: float | None
    ) -> dict[str, Any]:
        headers = {"If-Match": etag} if etag else None
        answer = await self.send(method, id, version, body=body, headers=headers)
        what = what or f"changing {id.rpartition('/')[2]}"
        await operations.finished(self, answer, resource=id, what=what, limit=limit)
        return await operations.settled(self, id, version, what=what, limit=limit)

    async def _send(
        self, method: str, url: str, params: Mapping[str, Any] | None, body: Any, headers: Mapping[str, str] | None, about: str
    ) -> Answer:
        try:
            import httpx
        except ImportError:
            raise _missing("httpx") from None
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, verify=_trusted())
        arm = names.address(self.settings, "arm")
        sent = {"Authorization": f"Bearer {await self.token(f'{arm}/.default')}", **(headers or {})}
        try:
            answer = await self._http.request(method, url, params=params, json=body, headers=sent)
        except httpx.ConnectError as error:
            raise Transient(f"Azure cannot be reached at {httpx.URL(url).host}: {error or 'no connection'}") from error
        except httpx.HTTPError as error:
            raise Transient(f"Azure: the connection broke: {type(error).__name__}") from error
        found = Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, _json(answer))
        if answer.status_code >= 400:
            raise failure(
                answer.status_code, found.body, subscription=self.subscription, resource=about, request_id=found.request_id,
                retry_after=found.retry_after,
            )  # fmt: skip
        return found

    async def _register(self, namespace: str) -> None:
        """Register a resource provider, and wait until it is."""
        async with self._registering.setdefault(namespace, asyncio.Lock()):
            path = f"/subscriptions/{self.subscription}/providers/{namespace}"
            answer = await self.send("POST", f"{path}/register", REGISTRATION)
            attempt, deadline = 0, time.monotonic() + 600
            while (answer.body or {}).get("registrationState") != "Registered":
                if time.monotonic() > deadline:
                    raise Transient(f"{namespace} is still not registered")
                say(f"registering {namespace}")
                await self.pause(attempt)
                attempt += 1
                answer = await self.send("GET", path, REGISTRATION)

    async def token(self, scope: str) -> str:
        """A token for ``scope``, from azure-identity's chain; kept until shortly before its end."""
        async with self._refreshing:
            kept, until = self._tokens.get(scope, ("", 0.0))
            if until - _EARLY < time.time():
                kept, until = await asyncio.to_thread(self._asked, scope)
                self._tokens[scope] = kept, until
            return kept

    def token_now(self, scope: str) -> str:
        """A token for ``scope``, for whoever may block."""
        return self._asked(scope)[0]

    def _asked(self, scope: str) -> tuple[str, float]:
        from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

        credential = self._authenticated()
        try:
            found = credential.get_token(scope, **({"tenant_id": self.config.tenant} if self.config.tenant else {}))
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Transient(f"Azure's sign-in cannot be reached: {_first(error)}") from None
        except ClientAuthenticationError as error:
            raise Denied(
                f"Azure: no credentials were accepted: {_first(error)}",
                hint="az login, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or a managed identity",
            ) from None
        return found.token, float(found.expires_on)

    def _authenticated(self) -> Any:
        if self._credential is None:
            try:
                from azure.identity import DefaultAzureCredential
            except ImportError:
                raise _missing("azure-identity") from None
            authority = os.environ.get("AZURE_AUTHORITY_HOST") if self.config.authority is None else None
            own = self.config.authority or authority
            self._credential = DefaultAzureCredential(
                authority=own or names.address(self.settings, "authority"), disable_instance_discovery=bool(own)
            )
        return self._credential

    def _mapped(self, container: str, act: Callable[[Any], Any]) -> Any:
        """Call the storage library about a container; its errors as failures."""
        try:
            from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
            from azure.storage.blob import ContainerClient
        except ImportError:
            raise _missing("azure-storage-blob") from None
        if container not in self._containers:
            signed = "?" in container  # it carries a signature, which is all that it takes
            self._containers[container] = ContainerClient.from_container_url(
                container,
                credential=None if signed else self._authenticated(),
                retry_total=2,
                initial_backoff=1,
                increment_base=2,
                connection_timeout=10,
            )
        shown = container.partition("?")[0]
        try:
            return act(self._containers[container])
        except ClientAuthenticationError as error:
            raise Denied(f"{shown}: {_first(error)}", hint=_DATA_ROLE) from None
        except HttpResponseError as error:
            code = str(getattr(error, "error_code", None) or "")
            body = {"error": {"code": code, "message": f"{shown}: {_first(error)}"}}
            found = failure(int(error.status_code or 500), body, subscription=self.subscription, resource=shown)
            if isinstance(found, Denied):
                found.hint = _DATA_ROLE
            raise found from None
        except AzureError as error:
            raise Transient(f"{shown} cannot be reached: {_first(error)}") from error


_DATA_ROLE = "blobs need a role of their own: Storage Blob Data Contributor on the storage account"


def _upload(container: Any, name: str, source: Path | bytes, content_type: str) -> None:
    from azure.storage.blob import ContentSettings

    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(source, bytes):
        digest.update(source)
        about = ContentSettings(content_type=content_type, content_md5=bytearray(digest.digest()))
        container.upload_blob(name, source, overwrite=True, content_settings=about)
        return
    with source.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        file.seek(0)
        about = ContentSettings(content_type=content_type, content_md5=bytearray(digest.digest()))
        container.upload_blob(name, file, overwrite=True, content_settings=about, length=source.stat().st_size)


def _listed(container: Any, prefix: str) -> dict[str, tuple[int, str]]:
    found = {}
    for blob in container.list_blobs(name_starts_with=prefix):
        md5 = blob.content_settings.content_md5
        found[blob.name] = (blob.size, base64.b64encode(bytes(md5)).decode() if md5 else "")
    return found


def _removed(container: Any, prefix: str) -> int:
    names_of = [blob.name for blob in container.list_blobs(name_starts_with=prefix)]
    for name in names_of:
        container.delete_blob(name, delete_snapshots="include")
    return len(names_of)


def _trusted() -> Any:
    """The certificates to trust: those that requests, and so azure-identity, is told to."""
    import ssl

    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    return ssl.create_default_context(cafile=bundle) if bundle else True


def _json(answer: Any) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        return {"error": {"message": f"HTTP {answer.status_code}: {answer.text[:200]}"}} if answer.status_code >= 400 else None


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _missing(package: str) -> Denied:
    return Denied(f"{package} is not installed", hint="pip install 'mlinfra-iac[azure]'")
