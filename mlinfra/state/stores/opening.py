"""From the spec's ``state:`` block to a store. The SDK of a store is imported when that store is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.values import Map, reveal, thaw
from mlinfra.state.store import Store
from mlinfra.state.stores.settings import (
    BY_STORE,
    AzureSettings,
    GcsSettings,
    HttpSettings,
    LocalSettings,
    PostgresSettings,
    S3Settings,
    StoreSettings,
)

_EXTRAS = {
    "s3": ("aws", ("boto3", "botocore")),
    "gcs": ("gcp", ("google",)),
    "azure": ("azure", ("azure",)),
    "postgres": ("postgres", ("psycopg",)),
}
"""The extra that brings each store's SDK, and the modules by whose absence its lack is known."""
HOME = Path(".mlinfra") / "state"


def settings_of(block: Map) -> StoreSettings:
    """The checked settings of a ``state:`` block. pydantic's ValidationError for what it does not allow; StateError for a store
    that does not exist."""
    store = block.get("store", "local")
    model = BY_STORE.get(store) if isinstance(store, str) else None
    if model is None:
        raise StateError(
            Diagnostic(
                code="state.unknown_store",
                message=f"there is no state store {store!r}",
                hint=f"the stores are {', '.join(BY_STORE)}",
                path=("store",),
            )
        )
    return model.model_validate(thaw(reveal(block)))


def open_store(block: Map, base: Path, environ: Mapping[str, str] | None = None) -> Store:
    """The store of a ``state:`` block; ``base`` is the spec's folder. Talks to nobody yet."""
    settings = settings_of(block)
    try:
        return _open(settings, base, os.environ if environ is None else environ)
    except ModuleNotFoundError as error:
        extra, modules = _EXTRAS.get(settings.store, ("", ()))
        if (error.name or "").partition(".")[0] not in modules:
            raise
        raise StateError(
            Diagnostic(
                code="state.missing_package",
                message=f"state in {settings.store} needs a package that is not installed: {error.name}",
                hint=f"pip install 'mlinfra-iac[{extra}]'",
            )
        ) from None


def _open(settings: StoreSettings, base: Path, environ: Mapping[str, str]) -> Store:
    match settings:
        case S3Settings():
            from mlinfra.state.stores.s3 import S3Store

            return S3Store(settings)
        case GcsSettings():
            from mlinfra.state.stores.gcs import GcsStore

            return GcsStore(settings)
        case AzureSettings():
            from mlinfra.state.stores.azure_blob import AzureBlobStore

            return AzureBlobStore(settings, environ)
        case PostgresSettings():
            from mlinfra.state.stores.postgres import PostgresStore

            return PostgresStore(settings)
        case HttpSettings():
            from mlinfra.state.stores.http import HttpStore

            return HttpStore.from_settings(settings, environ)
        case LocalSettings():
            from mlinfra.state.stores.local import LocalStore

            return LocalStore(base / settings.path if settings.path else base / HOME)
    raise AssertionError(settings)
