"""What may stand under ``providers: {gcp: …}``. Credentials come from google.auth's own chain, never from here."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlinfra.provider.zilliz.settings import ZillizSettings
from mlinfra_gcp.marks import label_key, label_value


def _labels(given: dict[str, str]) -> dict[str, str]:
    for key, value in given.items():
        if key.startswith("mlinfra-"):
            raise ValueError(f"the label {key!r} is mlinfra's own")
        if label_key(key) != key or label_value(value) != value:
            raise ValueError(f"{key}: {value}: a label is made of lower-case letters, digits, - and _, at most 63 of them")
    return given


class GcpConfig(BaseModel):
    """``project`` is the project's id; ``region`` and ``zone`` where things are made that do not say otherwise.

    ``endpoints`` replaces the addresses of APIs (``{aiplatform: "https://…"}``; ``default`` all of them): Private Service
    Connect, restricted VIPs, emulators. ``network`` is where machines are put; ``allow`` says which ranges reach them.
    ``service_account`` is what jobs, models and machines run as; ``images`` replaces public images (``cpu``, ``gpu``, ``serving``,
    ``milvus``, ``ray``); ``registry`` (``HOST[:PORT]``) is where images are pushed in the place of Artifact Registry's own address: a
    mirror, a private endpoint; ``ray_dashboard`` is an address of Ray heads' dashboards in the place of the machines' own: a tunnel;
    ``zilliz`` is how Zilliz Cloud is reached (``engine: zilliz``); ``poll`` is the pause before an operation is looked at again at
    first, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: Annotated[str, Field(pattern=r"^(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d+$")] = "us-central1"
    zone: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d+-[a-z]$")] | None = None
    impersonate_service_account: str | None = None
    service_account: str | None = None
    endpoints: dict[str, str] = Field(default_factory=dict)
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(default_factory=dict)
    network: str = "default"
    allow: tuple[str, ...] = ()
    images: dict[str, str] = Field(default_factory=dict)
    registry: str | None = None
    ray_dashboard: str | None = None
    zilliz: ZillizSettings = ZillizSettings()
    poll: Annotated[float, Field(gt=0, le=60)] = 2.0


def zone_of(region: str, zone: str | None) -> str:
    """The zone that is meant: the one given, or the region's first. Two old regions have no zone ``a``
    (https://cloud.google.com/compute/docs/regions-zones)."""
    return zone or f"{region}-{'b' if region in ('us-east1', 'europe-west1') else 'a'}"
