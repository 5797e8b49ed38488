"""What may stand under ``state:``, one model a store. Credentials never do: each SDK looks for them in its own places."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]


def _no_password(text: str) -> str:
    in_url = re.match(r"^[a-z]+://[^/@:]*:[^@]*@", text)
    if in_url or re.search(r"\bpassword\s*=", text, re.IGNORECASE) or re.search(r"[?&]password=", text, re.IGNORECASE):
        raise ValueError("a spec is no place for a password: put it into PGPASSWORD, ~/.pgpass or a service file")
    return text


def _no_credentials(url: str) -> str:
    if re.match(r"^https?://[^/]*@", url):
        raise ValueError("an address is no place for credentials: set username here and the password in MLINFRA_HTTP_PASSWORD")
    return url


def _seconds(value: Any) -> Any:
    """``60s``, ``2m``, ``1h`` as seconds; numbers are seconds already."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h)\s*", value) if isinstance(value, str) else None
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else value


Seconds = Annotated[float, BeforeValidator(_seconds)]
Address = Annotated[Url, AfterValidator(_no_credentials)]


class StoreSettings(BaseModel):
    """The keys that every store takes. ``encryption`` is read by :mod:`mlinfra.state.encryption`."""

    # one of these models is used in a run, and each would cost 3 ms to make ready
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    store: str = "local"
    encryption: dict[str, Any] | None = None
    lease: Annotated[Seconds, Field(ge=1)] | None = None
    history: Annotated[int, Field(ge=1)] | None = None


class LocalSettings(StoreSettings):
    """``path``: a folder, relative to the spec's; default ``.mlinfra/state``."""

    store: Literal["local"] = "local"
    path: Name | None = None


class S3Settings(StoreSettings):
    """``sse``: ``AES256``, ``aws:kms`` or ``aws:kms:dsse``; ``kms_key_id`` implies ``aws:kms``."""

    store: Literal["s3"] = "s3"
    bucket: Name
    prefix: str = ""
    region: Name | None = None
    profile: Name | None = None
    endpoint_url: Url | None = None
    sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    kms_key_id: Name | None = None
    path_style: bool = False


class GcsSettings(StoreSettings):
    """``project`` is the one that is billed; only buckets where the requester pays need it."""

    store: Literal["gcs"] = "gcs"
    bucket: Name
    prefix: str = ""
    project: Name | None = None
    kms_key_name: Name | None = None
    endpoint_url: Url | None = None


class AzureSettings(StoreSettings):
    """``account`` may be left out where AZURE_STORAGE_CONNECTION_STRING names it."""

    store: Literal["azure"] = "azure"
    container: Name
    account: Name | None = None
    prefix: str = ""
    endpoint_url: Url | None = None


class PostgresSettings(StoreSettings):
    """``conninfo`` is libpq's (``host=db dbname=infra`` or a URL), without a password; the PG* variables fill in the rest."""

    store: Literal["postgres"] = "postgres"
    conninfo: Annotated[str, AfterValidator(_no_password)] = ""
    table: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")] = "mlinfra_state"
    prefix: str = ""


class HttpSettings(StoreSettings):
    """Terraform's HTTP backend, with its names; the ``TF_HTTP_*`` variables fill in what is left out."""

    store: Literal["http"] = "http"
    address: Address | None = None
    lock_address: Address | None = None
    unlock_address: Address | None = None
    update_method: Name = "POST"
    lock_method: Name = "LOCK"
    unlock_method: Name = "UNLOCK"
    username: Name | None = None
    skip_cert_verification: bool = False
    timeout: Annotated[Seconds, Field(gt=0)] = 30.0


BY_STORE: dict[str, type[StoreSettings]] = {
    "local": LocalSettings,
    "s3": S3Settings,
    "gcs": GcsSettings,
    "azure": AzureSettings,
    "postgres": PostgresSettings,
    "http": HttpSettings,
}
