"""State in Google Cloud Storage. Writes carry a generation precondition (``ifGenerationMatch``).

https://cloud.google.com/storage/docs/request-preconditions
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import google.auth.exceptions
import requests
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, PreconditionFailed, Unauthorized
from google.api_core.retry import if_transient_error
from google.cloud import storage
from google.cloud.storage.exceptions import InvalidResponse

from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable
from mlinfra.state.stores.settings import GcsSettings
from mlinfra.state.stores.writing import Transient, write_settled

_ERRORS = (GoogleAPIError, google.auth.exceptions.GoogleAuthError, requests.RequestException, InvalidResponse)
_TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
_BATCH = 100
"""Calls that one batch request takes."""


class GcsStore:
    """Objects of one bucket. The version is the generation."""

    remote = True

    def __init__(self, settings: GcsSettings) -> None:
        self._settings = settings
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._guard = threading.Lock()
        self._local = threading.local()
        self._clients: list[Any] = []

    def get(self, key: str) -> Blob | None:
        blob = self._blob(key)
        try:
            data = blob.download_as_bytes(raw_download=True)
        except NotFound as error:
            if self._bucket_is_missing(error):
                raise self._unavailable(error) from error
            return None
        except _ERRORS as error:
            raise self._unavailable(error) from error
        return Blob(data, str(blob.generation))

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        return write_settled(lambda: self._put(key, data, version), lambda: self.get(key), data)

    def list(self, prefix: str) -> list[str]:
        try:
            found = self._client().list_blobs(
                self._settings.bucket, prefix=self._prefix + prefix, fields="items(name),nextPageToken"
            )
            return sorted(blob.name[len(self._prefix) :] for blob in found)
        except _ERRORS as error:
            raise self._unavailable(error) from error

    def delete(self, key: str) -> None:
        with suppress(NotFound):
            try:
                self._blob(key).delete()
            except NotFound:
                raise
            except _ERRORS as error:
                raise self._unavailable(error) from error

    def delete_many(self, keys: Iterable[str]) -> None:
        """One request for 100 keys."""
        wanted = list(keys)
        for start in range(0, len(wanted), _BATCH):
            futures = []
            try:
                with self._client().batch(raise_exception=False) as batch:
                    for key in wanted[start : start + _BATCH]:
                        self._blob(key).delete()
                futures = [r for r in batch._responses if r.status_code >= 300 and r.status_code != 404]
            except _ERRORS as error:
                raise self._unavailable(error) from error
            if futures:
                raise StoreUnavailable(f"gs://{self._settings.bucket}: deleting failed with status {futures[0].status_code}")

    def close(self) -> None:
        with self._guard:
            made, self._clients = self._clients, []
            self._local = threading.local()
        for client in made:
            client.close()

    def _put(self, key: str, data: bytes, version: str | None) -> str:
        blob = self._blob(key)
        try:
            blob.upload_from_string(
                data, content_type="application/octet-stream", if_generation_match=int(version or 0), retry=None, timeout=60
            )
        except PreconditionFailed:
            raise StoreConflict(key) from None
        except NotFound as error:
            if version is not None and not self._bucket_is_missing(error):
                raise StoreConflict(key) from None
            raise self._unavailable(error) from error
        except _ERRORS as error:
            unavailable = self._unavailable(error)
            if if_transient_error(error) or isinstance(error, requests.RequestException) or _status(error) in _TRANSIENT_STATUS:
                raise Transient(unavailable) from error
            raise unavailable from error
        return str(blob.generation)

    def _blob(self, key: str) -> Any:
        return self._client().bucket(self._settings.bucket).blob(self._prefix + key, kms_key_name=self._settings.kms_key_name)

    def _client(self) -> Any:
        """A client for this thread: its HTTP session is not made to be shared."""
        client = getattr(self._local, "client", None)
        if client is None:
            s = self._settings
            options = {"api_endpoint": s.endpoint_url} if s.endpoint_url else None
            try:
                client = storage.Client(project=s.project, client_options=options)
            except _ERRORS as error:
                raise self._unavailable(error) from error
            with self._guard:
                self._clients.append(client)
            self._local.client = client
        return client

    def _bucket_is_missing(self, error: GoogleAPIError) -> bool:
        return "bucket does not exist" in str(error).lower()

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        where = f"gs://{self._settings.bucket}"
        if isinstance(error, google.auth.exceptions.DefaultCredentialsError):
            return StoreUnavailable(
                f"the state is in {where}, but no Google credentials were found",
                "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS",
            )
        if isinstance(error, (Unauthorized, google.auth.exceptions.RefreshError)) or _status(error) == 401:
            return StoreUnavailable(
                f"the state in {where} refuses the credentials: {_said(error)}", "sign in to Google Cloud again"
            )
        if isinstance(error, Forbidden) or _status(error) == 403:
            return StoreUnavailable(
                f"the state in {where} refuses access: {_said(error)}",
                "the credentials need roles/storage.objectAdmin on the bucket",
            )
        if isinstance(error, NotFound) or _status(error) == 404:
            return StoreUnavailable(
                f"there is no bucket {self._settings.bucket!r} for the state",
                f"make it first: gcloud storage buckets create {where} --uniform-bucket-level-access",
            )
        return StoreUnavailable(f"the state in {where} cannot be reached: {_said(error)}", "check network and credentials")


def _status(error: Exception) -> int:
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return int(getattr(error, "code", 0) or 0) if isinstance(error, GoogleAPIError) else 0


def _said(error: Exception) -> str:
    return str(getattr(error, "message", "") or error).partition("\n")[0][:300]
