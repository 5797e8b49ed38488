"""The connection: google-auth's credentials, REST over httpx, buckets and objects through google-cloud-storage.

The only file that touches Google's libraries; each is imported when it is first needed.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Denied, Failure, Transient
from mlinfra.provider.limiter import waiting
from mlinfra.provider.ownership import Owner
from mlinfra.provider.zilliz.client import Zilliz
from mlinfra_gcp.documents import Document, Method, document
from mlinfra_gcp.errors import failure
from mlinfra_gcp.settings import GcpConfig, zone_of

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = 60.0
_LONGEST_PAUSE = 15.0
_LOCATIONAL = {"aiplatform"}
"""APIs that answer for a region only at that region's address."""


class GcpClient:
    """Settings, credentials and connections of one provider instance."""

    def __init__(self, config: GcpConfig, context: ProviderContext) -> None:
        self.config = config
        self.context = context
        self.project = config.project
        self.region = config.region
        self.zone = zone_of(config.region, config.zone)
        self.zilliz = Zilliz(config.zilliz)
        self._credentials: Any = None
        self._http: Any = None
        self._storage: Any = None
        self._refreshing = asyncio.Lock()
        self.asked: dict[str, asyncio.Future[frozenset[str] | None]] = {}
        """By project: which permissions the credentials hold there (:mod:`mlinfra_gcp.permissions`)."""

    @property
    def base(self) -> Path:
        """The spec's folder."""
        return self.context.base

    @property
    def excluded(self) -> tuple[str, ...]:
        """Paths of the spec's folder that never count as code."""
        return self.context.excluded

    def owner(self, address: str, token: str) -> Owner:
        return Owner(self.context.project, self.context.environment, address, token)

    async def close(self) -> None:
        await self.zilliz.close()
        if self._http is not None:
            await self._http.aclose()
        if self._storage is not None:
            await asyncio.to_thread(self._storage.close)

    async def call(
        self, document_name: str, method_name: str, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """One method of a discovery document; its answer. Parameters that the path does not take go into the query."""
        doc = document(document_name)
        method = doc.methods[method_name]
        path, query = _filled(method, {k: v for k, v in (params or {}).items() if v is not None})
        if doc.service == "storage":
            return await asyncio.to_thread(self._storage_call, method, path, query, body)
        return await self._send(doc, method, self._address(doc, path) + doc.prefix + path, query, body)

    async def pages(
        self, document_name: str, method_name: str, params: Mapping[str, Any], field: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list method, page by page."""
        token: str | None = None
        while True:
            answer = await self.call(document_name, method_name, {**params, "pageToken": token})
            for item in answer.get(field) or ():
                yield item
            token = answer.get("nextPageToken")
            if not token:
                return

    async def pause(self, attempt: int) -> None:
        """Wait before the next poll, longer each time; no slot is held."""
        seconds = min(_LONGEST_PAUSE, self.config.poll * 1.5**attempt)
        async with waiting():
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))

    def storage(self) -> Any:
        """The ``google.cloud.storage.Client``."""
        if self._storage is None:
            try:
                from google.cloud import storage
            except ImportError:
                raise _missing("google-cloud-storage") from None
            address = self._override("storage")
            options = {"api_endpoint": address.rstrip("/")} if address else None
            # the library would ask for scopes of its own; it gets our token, and a new one whenever that has expired
            from google.oauth2.credentials import Credentials

            credentials = Credentials(token=None, refresh_handler=self._handed_on)
            self._storage = storage.Client(project=self.project, credentials=credentials, client_options=options)
        return self._storage

    async def upload(
        self, bucket: str, name: str, source: Path | bytes, *, content_type: str = "application/octet-stream"
    ) -> None:
        """Write one object, whatever stood there before. ``source``: a file, or the bytes."""
        await asyncio.to_thread(self._mapped, lambda: _upload(self.storage().bucket(bucket).blob(name), source, content_type))

    async def download(self, bucket: str, name: str) -> bytes | None:
        """An object's bytes; None when there is none."""
        from mlinfra.provider.failures import NotFound

        try:
            data: bytes = await asyncio.to_thread(
                self._mapped, lambda: self.storage().bucket(bucket).blob(name).download_as_bytes()
            )
        except NotFound:
            return None
        return data

    async def objects(self, bucket: str, prefix: str) -> dict[str, tuple[int, str]]:
        """Objects below a prefix: name → (size, MD5 in base64)."""
        return await asyncio.to_thread(
            self._mapped, lambda: {b.name: (b.size, b.md5_hash) for b in self.storage().list_blobs(bucket, prefix=prefix)}
        )

    async def remove_objects(self, bucket: str, prefix: str) -> int:
        """Delete every object below a prefix, in all versions; how many there were."""
        return await asyncio.to_thread(self._mapped, lambda: _remove(self.storage(), bucket, prefix))

    # below: how it is sent

    def _override(self, service: str) -> str:
        variable = os.environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}", "")
        return self.config.endpoints.get(service) or variable or self.config.endpoints.get("default", "")

    def _address(self, doc: Document, path: str) -> str:
        override = self._override(doc.service)
        if override:
            return override.rstrip("/") + "/"
        if doc.service in _LOCATIONAL and "/locations/" in path:
            location = path.split("/locations/", 1)[1].partition("/")[0]
            return doc.root.replace("https://", f"https://{location}-")
        return doc.root

    async def _send(self, doc: Document, method: Method, url: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
        try:
            import httpx
        except ImportError:
            raise _missing("httpx") from None
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False)
        headers = {"Authorization": f"Bearer {await self._token()}", "X-Goog-User-Project": self.project}
        if body is None and method.http in ("POST", "PUT", "PATCH") and method.request:
            body = {}
        try:
            answer = await self._http.request(method.http, url, params=query, json=body, headers=headers)
        except httpx.ConnectError as error:
            raise Transient(f"{doc.service} cannot be reached at {httpx.URL(url).host}: {error or 'no connection'}") from error
        except httpx.HTTPError as error:
            raise Transient(f"{doc.service}: the connection broke: {type(error).__name__}") from error
        if answer.status_code >= 400:
            after = answer.headers.get("Retry-After", "")
            raise failure(
                answer.status_code,
                _json(answer),
                service=doc.service,
                project=self.project,
                retry_after=float(after) if after.isdigit() else None,
            )
        found: dict[str, Any] = _json(answer) if answer.content else {}
        return found

    async def _token(self) -> str:
        async with self._refreshing:
            credentials = self._authenticated()
            if not credentials.valid:
                await asyncio.to_thread(self._refresh)
            return str(credentials.token)

    def _authenticated(self) -> Any:
        if self._credentials is None:
            try:
                import google.auth
                from google.auth import impersonated_credentials
                from google.auth.exceptions import DefaultCredentialsError
            except ImportError:
                raise _missing("google-auth") from None
            try:
                found, _ = google.auth.default(scopes=[_SCOPE])
            except DefaultCredentialsError as error:
                raise Denied(
                    f"Google Cloud: no credentials were found: {str(error).partition('.')[0]}",
                    hint="gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS",
                ) from None
            target = self.config.impersonate_service_account
            if target:
                found = impersonated_credentials.Credentials(found, target_principal=target, target_scopes=[_SCOPE])
            self._credentials = found
        return self._credentials

    def _refresh(self) -> None:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            self._credentials.refresh(Request())
        except TransportError as error:
            raise Transient(f"Google's token service cannot be reached: {error}") from None
        except GoogleAuthError as error:
            raise Denied(
                f"Google refused the credentials: {error.args[0] if error.args else error}",
                hint="gcloud auth application-default login, or look at GOOGLE_APPLICATION_CREDENTIALS",
            ) from None

    def access_token(self) -> str:
        """A token that is valid now, for what takes one as a password. Blocks."""
        return self._handed_on(None, None)[0]

    def _handed_on(self, request: Any, scopes: Any) -> tuple[str, Any]:
        credentials = self._authenticated()
        if not credentials.valid:
            self._refresh()
        return str(credentials.token), credentials.expiry

    def _storage_call(self, method: Method, path: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
        connection = self.storage()._connection
        answer = self._mapped(
            lambda: connection.api_request(method=method.http, path=f"/{path}", query_params=dict(query), data=body)
        )
        return answer if isinstance(answer, dict) else {}

    def _mapped(self, act: Any) -> Any:
        """Call the storage library; its errors as failures."""
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        try:
            return act()
        except GoogleAPICallError as error:
            status = int(error.code or 500)
            try:
                body = error.response.json() if error.response is not None else {}
            except ValueError:
                body = {}
            body = body if body else {"error": {"message": error.message, "errors": list(error.errors)}}
            raise failure(status, body, service="storage", project=self.project) from None
        except (RequestException, RetryError) as error:
            raise Transient(f"storage cannot be reached: {type(error).__name__}") from error
        except GoogleAuthError as error:
            raise Denied(f"Google refused the credentials: {error}", hint="gcloud auth application-default login") from None


def _upload(blob: Any, source: Path | bytes, content_type: str) -> None:
    if isinstance(source, bytes):
        blob.upload_from_string(source, content_type=content_type)
    else:
        blob.upload_from_filename(str(source), content_type=content_type)


def _remove(storage: Any, bucket: str, prefix: str) -> int:
    blobs = list(storage.list_blobs(bucket, prefix=prefix, versions=True))
    place = storage.bucket(bucket)
    for start in range(0, len(blobs), 100):
        place.delete_blobs(blobs[start : start + 100], on_error=lambda _: None)
    return len(blobs)


def _filled(method: Method, params: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    path, query = method.path, {}
    for name, value in params.items():
        if method.params.get(name, {}).get("in") == "path":
            path = path.replace(f"{{+{name}}}", quote(str(value), safe="/:@"))
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        else:
            query[name] = str(value).lower() if isinstance(value, bool) else value
    if "{" in path:
        raise Failure(f"{method.name} needs {path[path.index('{') + 1 : path.index('}')]}")
    return path, query


def _json(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        return {"error": {"message": f"HTTP {answer.status_code}: {answer.text[:200]}"}}


def _missing(package: str) -> Denied:
    return Denied(f"{package} is not installed", hint="pip install 'mlinfra-iac[gcp]'")
