"""Where there are accelerators: what to try when a zone has no room.

https://cloud.google.com/compute/docs/gpus/gpu-regions-zones, https://cloud.google.com/tpu/docs/regions-zones (as of 2025-06)
"""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.values import Map, Value
from mlinfra_gcp.client import GcpClient

ACCELERATOR_ZONES: Mapping[str, tuple[str, ...]] = {
    "T4": (
        "us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f", "us-east1-c", "us-east1-d", "us-east4-a", "us-east4-b",
        "us-east4-c", "us-west1-a", "us-west1-b", "us-west2-b", "us-west2-c", "us-west4-a", "us-west4-b", "europe-west1-b",
        "europe-west1-c", "europe-west1-d", "europe-west2-a", "europe-west2-b", "europe-west3-b", "europe-west4-a", "europe-west4-b",
        "europe-west4-c", "europe-central2-b", "europe-central2-c", "asia-east1-a", "asia-east1-c", "asia-east2-a", "asia-east2-c",
        "asia-northeast1-a", "asia-northeast1-c", "asia-northeast3-b", "asia-northeast3-c", "asia-south1-a", "asia-south1-b",
        "asia-southeast1-a", "asia-southeast1-b", "asia-southeast1-c", "asia-southeast2-a", "asia-southeast2-b",
        "australia-southeast1-a", "australia-southeast1-c", "northamerica-northeast1-c", "southamerica-east1-a", "southamerica-east1-c",
    ),
    "V100": ("us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f", "us-east1-c", "us-west1-a", "us-west1-b",
             "europe-west4-a", "europe-west4-b", "europe-west4-c", "asia-east1-c"),
    "P100": ("us-central1-c", "us-central1-f", "us-east1-b", "us-east1-c", "us-west1-a", "us-west1-b", "europe-west1-b",
             "europe-west1-d", "europe-west4-a", "asia-east1-a", "asia-east1-c", "australia-southeast1-c"),
    "L4": ("us-central1-a", "us-central1-b", "us-central1-c", "us-east1-b", "us-east1-c", "us-east1-d", "us-east4-a", "us-east4-c",
           "us-west1-a", "us-west1-b", "us-west1-c", "us-west4-a", "us-west4-c", "europe-west1-b", "europe-west1-c", "europe-west2-a",
           "europe-west2-b", "europe-west3-a", "europe-west3-b", "europe-west4-a", "europe-west4-b", "europe-west4-c",
           "asia-east1-a", "asia-east1-b", "asia-east1-c", "asia-northeast1-a", "asia-northeast1-b", "asia-northeast1-c",
           "asia-south1-a", "asia-south1-b", "asia-south1-c", "asia-southeast1-a", "asia-southeast1-b", "asia-southeast1-c"),
    "A100": ("us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f", "us-east1-b", "us-west1-b", "us-west3-b", "us-west4-b",
             "europe-west4-a", "europe-west4-b", "asia-northeast1-a", "asia-northeast1-c", "asia-northeast3-a", "asia-northeast3-b",
             "asia-southeast1-b", "asia-southeast1-c", "me-west1-b", "me-west1-c"),
    "A100-80GB": ("us-central1-a", "us-central1-c", "us-east4-c", "us-east5-b", "europe-west4-a", "asia-southeast1-c"),
    "H100": ("us-central1-a", "us-central1-b", "us-central1-c", "us-east4-a", "us-east4-b", "us-east5-a", "us-west1-a", "us-west1-b",
             "us-west4-a", "europe-west1-b", "europe-west1-c", "europe-west4-b", "europe-west4-c", "asia-northeast1-b",
             "asia-southeast1-b", "asia-southeast1-c"),
    "H200": ("us-central1-b", "us-east1-b", "us-east5-a", "us-south1-b", "us-west1-c", "europe-west1-b", "asia-south1-b"),
    "TPU-v5e": ("us-central1-a", "us-south1-a", "us-west1-c", "us-west4-a", "us-east5-b", "europe-west4-b"),
    "TPU-v5p": ("us-central1-a", "us-east5-a", "europe-west4-b"),
    "TPU-v6e": ("us-central1-b", "us-east1-d", "us-east5-a", "us-east5-b", "us-south1-a", "europe-west4-a", "asia-northeast1-b"),
}  # fmt: skip
_FAMILIES = {
    "g2-": "L4", "a2-highgpu": "A100", "a2-megagpu": "A100", "a2-ultragpu": "A100-80GB", "a3-highgpu": "H100", "a3-megagpu": "H100",
    "a3-ultragpu": "H200", "v5litepod": "TPU-v5e", "v5p-": "TPU-v5p", "v6e-": "TPU-v6e",
    "ct5lp-": "TPU-v5e", "ct6e-": "TPU-v6e",
}  # fmt: skip
_SHOWN = 3


def elsewhere(client: GcpClient, attributes: Mapping[str, Value]) -> str:
    """What to write to try the next zone (or region, for what Vertex AI places itself); nothing where no accelerator is asked for."""
    return advice(str(Map(attributes)), str(attributes.get("zone") or client.zone), zonal="zone" in attributes)


def advice(asked: str, here: str, *, zonal: bool) -> str:
    """``asked`` is what was asked for, as text: accelerators and machine types are looked for in it."""
    found = next((a for a in _names(asked) if a), "")
    zones = ACCELERATOR_ZONES.get(found, ())
    region = here.rpartition("-")[0]
    near = sorted(
        (z for z in zones if z != here), key=lambda z: (not z.startswith(region), not z.startswith(region.split("-")[0]), z)
    )
    if not near:
        return ""
    if zonal:
        return f"{found} is also offered in {', '.join(near[:_SHOWN])}: providers: {{gcp: {{zone: {near[0]}}}}}"
    regions = list(dict.fromkeys(z.rpartition("-")[0] for z in near if not z.startswith(region)))
    return (
        f"{found} is also offered in {', '.join(regions[:_SHOWN])}: providers: {{gcp: {{region: {regions[0]}}}}}"
        if regions
        else ""
    )


def _names(asked: str) -> list[str]:
    low = asked.lower()
    built_in = [name for family, name in _FAMILIES.items() if family in low]
    attached = [
        name
        for name in ("T4", "V100", "P100", "L4")
        if f"nvidia-tesla-{name.lower()}" in low or f"nvidia_tesla_{name.lower()}" in low
    ]
    return [*built_in, *attached]
