"""State in Azure Blob Storage. Writes are conditional on the ETag; a lease on the blob guards the lock.

https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
https://learn.microsoft.com/rest/api/storageservices/lease-blob
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobLeaseClient, BlobServiceClient

from mlinfra.state.store import Blob, StoreConflict, StoreUnavailable
from mlinfra.state.stores.settings import AzureSettings
from mlinfra.state.stores.writing import Transient, write_settled

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
_TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
_LEASE = (15, 60)
"""Seconds that a lease may last, other than for ever."""
_NOT_OURS = (404, 409, 412)
"""The blob is gone, leased to another, or not at the expected version."""
_BATCH = 256
"""Blobs that one batch request takes."""


class AzureBlobStore:
    """Blobs of one container. The version is the ETag."""

    remote = True

    def __init__(self, settings: AzureSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._connection_string = environ.get(CONNECTION_STRING, "")
        self._prefix = f"{settings.prefix.strip('/')}/" if settings.prefix.strip("/") else ""
        self._guard = threading.Lock()
        self._made: Any = None
        self._leases: dict[str, BlobLeaseClient] = {}

    def get(self, key: str) -> Blob | None:
        try:
            found = self._client().download_blob(self._prefix + key)
            return Blob(found.readall(), found.properties.etag)
        except ResourceNotFoundError as error:
            if _code(error) == "BlobNotFound":
                return None
            raise self._unavailable(error) from error
        except AzureError as error:
            raise self._unavailable(error) from error

    def put_if(self, key: str, data: bytes, version: str | None) -> str:
        return write_settled(lambda: self._put(key, data, version), lambda: self.get(key), data)

    def list(self, prefix: str) -> list[str]:
        try:
            names = self._client().list_blob_names(name_starts_with=self._prefix + prefix)
            return sorted(name[len(self._prefix) :] for name in names)
        except AzureError as error:
            raise self._unavailable(error) from error

    def delete(self, key: str) -> None:
        try:
            self._client().delete_blob(self._prefix + key)
        except ResourceNotFoundError as error:
            if _code(error) != "BlobNotFound":
                raise self._unavailable(error) from error
        except AzureError as error:
            raise self._unavailable(error) from error

    def delete_many(self, keys: Iterable[str]) -> None:
        """One request for 256 keys."""
        named = [self._prefix + key for key in keys]
        for start in range(0, len(named), _BATCH):
            try:
                answers = self._client().delete_blobs(*named[start : start + _BATCH], raise_on_any_failure=False)
                failed = [a.status_code for a in answers if a.status_code >= 300 and a.status_code != 404]
            except AzureError as error:
                raise self._unavailable(error) from error
            if failed:
                raise StoreUnavailable(f"{self._where()}: deleting failed with status {failed[0]}")

    def guard(self, key: str, version: str, seconds: float) -> bool:
        """By a lease; asking again after a lost answer finds our own."""
        if not _LEASE[0] <= seconds <= _LEASE[1]:
            return False
        held = self._leases.get(key)
        if held is not None:
            if self._leased(held.renew):
                return True
            del self._leases[key]
        lease = BlobLeaseClient(self._client().get_blob_client(self._prefix + key))
        at = {"etag": version, "match_condition": MatchConditions.IfNotModified}
        if not self._leased(lambda: lease.acquire(math.ceil(seconds), **at)):
            return False
        self._leases[key] = lease
        return True

    def unguard(self, key: str) -> None:
        held = self._leases.pop(key, None)
        if held is not None:
            self._leased(held.release)

    def guarded(self, key: str) -> bool:
        try:
            found = self._client().get_blob_client(self._prefix + key).get_blob_properties()
        except ResourceNotFoundError:
            return False
        except AzureError as error:
            raise self._unavailable(error) from error
        return found.lease.state in ("leased", "breaking")

    def break_guard(self, key: str, version: str) -> None:
        lease = BlobLeaseClient(self._client().get_blob_client(self._prefix + key))
        self._leased(lambda: lease.break_lease(0, etag=version, match_condition=MatchConditions.IfNotModified))

    def _leased(self, act: Callable[[], Any]) -> bool:
        """Whether the lease operation was carried out."""
        try:
            act()
        except HttpResponseError as error:
            if error.status_code in _NOT_OURS and _code(error) != "ContainerNotFound":
                return False
            raise self._unavailable(error) from error
        except AzureError as error:
            raise self._unavailable(error) from error
        return True

    def close(self) -> None:
        self._leases.clear()
        with self._guard:
            made, self._made = self._made, None
        if made is not None:
            made[0].close()

    def _put(self, key: str, data: bytes, version: str | None) -> str:
        condition: dict[str, Any] = {"overwrite": False}
        if version is not None:
            condition = {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
        if (lease := self._leases.get(key)) is not None:
            condition["lease"] = lease
        try:
            answer = self._client().get_blob_client(self._prefix + key).upload_blob(data, retry_total=0, **condition)
        except (ResourceExistsError, ResourceModifiedError):
            raise StoreConflict(key) from None
        except ResourceNotFoundError as error:
            if _code(error) == "BlobNotFound":
                raise StoreConflict(key) from None
            raise self._unavailable(error) from error
        except ClientAuthenticationError as error:
            raise self._unavailable(error) from error
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Transient(self._unavailable(error)) from error
        except HttpResponseError as error:
            if error.status_code == 412:  # leased to another, or our lease is over
                raise StoreConflict(key) from None
            if error.status_code in _TRANSIENT_STATUS:
                raise Transient(self._unavailable(error)) from error
            raise self._unavailable(error) from error
        except AzureError as error:
            raise self._unavailable(error) from error
        return str(answer["etag"])

    def _client(self) -> Any:
        with self._guard:
            if self._made is None:
                service = self._service()
                self._made = (service, service.get_container_client(self._settings.container))
            return self._made[1]

    def _service(self) -> Any:
        s = self._settings
        if s.account is None and not s.endpoint_url and not self._connection_string:
            raise StoreUnavailable(
                "the state block names no storage account", f"set state.account, or {CONNECTION_STRING} in the environment"
            )
        if self._connection_string:
            return BlobServiceClient.from_connection_string(self._connection_string)
        from azure.identity import DefaultAzureCredential

        url = s.endpoint_url or f"https://{s.account}.blob.core.windows.net"
        return BlobServiceClient(url, credential=DefaultAzureCredential())

    def _where(self) -> str:
        return f"{self._settings.account or 'the storage account'}/{self._settings.container}"

    def _unavailable(self, error: AzureError) -> StoreUnavailable:
        code = _code(error)
        if code == "ContainerNotFound":
            return StoreUnavailable(
                f"there is no container {self._settings.container!r} for the state",
                f"make it first: az storage container create --name {self._settings.container} --account-name …",
            )
        if isinstance(error, ClientAuthenticationError) and not code:
            return StoreUnavailable(
                f"the state is in {self._where()}, but no Azure credentials were found",
                f"az login, a managed identity, AZURE_CLIENT_ID …, or {CONNECTION_STRING}",
            )
        if isinstance(error, ClientAuthenticationError) or getattr(error, "status_code", 0) == 403:
            return StoreUnavailable(
                f"the state in {self._where()} refuses access: {_said(error)}",
                "the identity needs the role Storage Blob Data Contributor on the container",
            )
        return StoreUnavailable(
            f"the state in {self._where()} cannot be reached: {_said(error)}", "check network and account name"
        )


def _code(error: AzureError) -> str:
    return str(getattr(error, "error_code", None) or "").rpartition(".")[2]


def _said(error: AzureError) -> str:
    return str(getattr(error, "message", "") or error).partition("\n")[0][:300]
