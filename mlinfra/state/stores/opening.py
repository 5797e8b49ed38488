"""From the spec's ``state:`` block to a store. The SDK of a store is imported when that store is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.values import Map, reveal, thaw
from mlinfra.state.store import Store

if TYPE_CHECKING:
    from mlinfra.state.stores.settings import StoreSettings

_EXTRAS = {
    "s3": ("aws", ("boto3", "botocore")),
    "gcs": ("gcp", ("google",)),
    "azure": ("azure", ("azure",)),
    "postgres": ("postgres", ("psycopg",)),
}
"""The extra that brings each store's SDK, and the modules by whose absence its lack is known."""
HOME = Path(".mlinfra") / "state"


def is_default(block: Map) -> bool:
    """Whether a ``state:`` block says no more than what holds without one: a folder here."""
    return block.get("store", "local") == "local" and block.keys() <= {"store"}


def settings_of(block: Map) -> StoreSettings | None:
    """The checked settings of a ``state:`` block; None of the default one. pydantic's ValidationError
    for what it does not allow; StateError for a store that does not exist."""
    if is_default(block):
        return None
    from mlinfra.state.stores.settings import BY_STORE

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
    if settings is None:
        from mlinfra.state.stores.local import LocalStore

        return LocalStore(base / HOME)
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
    from mlinfra.state.stores import settings as known

    match settings:
        case known.S3Settings():
            from mlinfra.state.stores.s3 import S3Store

            return S3Store(settings)
        case known.GcsSettings():
            from mlinfra.state.stores.gcs import GcsStore

            return GcsStore(settings)
        case known.AzureSettings():
            from mlinfra.state.stores.azure_blob import AzureBlobStore

            return AzureBlobStore(settings, environ)
        case known.PostgresSettings():
            from mlinfra.state.stores.postgres import PostgresStore

            return PostgresStore(settings)
        case known.HttpSettings():
            from mlinfra.state.stores.http import HttpStore

            return HttpStore.from_settings(settings, environ)
        case known.LocalSettings():
            from mlinfra.state.stores.local import LocalStore

            return LocalStore(base / settings.path if settings.path else base / HOME)
    raise AssertionError(settings)
