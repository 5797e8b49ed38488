"""What the lowerings share: names, labels, places, texts that wait for attributes, images, machines."""

from __future__ import annotations

from typing import Any

from mlinfra.model.values import EMPTY, Map, Value, is_known
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.hardware.choice import Choice
from mlinfra.provider.hardware.offers import Offer, load
from mlinfra.provider.lowerings import given
from mlinfra.provider.lowerings import named as named
from mlinfra.provider.naming import physical_name
from mlinfra_gcp.marks import label_key, label_value
from mlinfra_gcp.settings import zone_of

ACCELERATORS = {
    "T4": "NVIDIA_TESLA_T4", "V100": "NVIDIA_TESLA_V100", "P100": "NVIDIA_TESLA_P100", "P4": "NVIDIA_TESLA_P4", "L4": "NVIDIA_L4",
    "A100": "NVIDIA_TESLA_A100", "A100-80GB": "NVIDIA_A100_80GB", "H100": "NVIDIA_H100_80GB", "H200": "NVIDIA_H200_141GB",
    "B200": "NVIDIA_B200",
}  # fmt: skip
"""Our names and Vertex AI's (AcceleratorType in MachineSpec's document)."""
TPU_MACHINES = {
    "v5litepod-1": ("ct5lp-hightpu-1t", "1x1"), "v5litepod-4": ("ct5lp-hightpu-4t", "2x2"), "v5litepod-8": ("ct5lp-hightpu-8t", "2x4"),
    "v6e-1": ("ct6e-standard-1t", "1x1"), "v6e-4": ("ct6e-standard-4t", "2x2"), "v6e-8": ("ct6e-standard-8t", "2x4"),
}  # fmt: skip
"""A slice of one host as Cloud TPU names it, and what Vertex AI calls it in a MachineSpec: machineType and tpuTopology
(https://cloud.google.com/vertex-ai/docs/training/configure-compute, https://cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus)."""
IMAGES = {
    "cpu": "python:3.11",
    "gpu": "us-docker.pkg.dev/vertex-ai/training/pytorch-gpu.2-4.py310:latest",
    "serving": "python:3.11",
    "milvus": "milvusdb/milvus",
    "ray": "rayproject/ray",
}
"""Public images where the settings (``images``) name none of one's own."""


def project(context: LoweringContext) -> str:
    return str(context.settings["project"])


def region(context: LoweringContext) -> str:
    return str(context.settings.get("region") or "us-central1")


def zone(context: LoweringContext) -> str:
    chosen = context.settings.get("zone")
    return zone_of(region(context), chosen if isinstance(chosen, str) else None)


def parent(context: LoweringContext) -> str:
    return f"projects/{project(context)}/locations/{region(context)}"


def place(context: LoweringContext) -> dict[str, Value]:
    """Project and region, so that ids are known at plan time."""
    return {"project": project(context), "location": region(context)}


def zonal(context: LoweringContext) -> dict[str, Value]:
    return {"project": project(context), "zone": zone(context)}


def bucket_name(context: LoweringContext, role: str = "") -> str:
    """Names of buckets are shared by the whole world: the project's id goes first."""
    address = f"{context.named}-{role}" if role else context.named
    return physical_name(project(context), f"{context.project}-{context.environment}", address, limit=63)


def labels(context: LoweringContext, **more: str) -> Map | None:
    """The component's tags as labels; None when there are none."""
    found = {label_key(str(k)): label_value(str(v)) for k, v in context.component.tags.items() if is_known(v)}
    return Map({**found, **more}) if found or more else None


def image(context: LoweringContext, name: str) -> str:
    chosen = context.settings.get("images") or EMPTY
    return str(chosen.get(name) or IMAGES[name])


def offers() -> tuple[Offer, ...]:
    """GCP's hardware catalogue."""
    return load("mlinfra_gcp")


def machine_spec(choice: Choice) -> Map:
    """Vertex AI's MachineSpec of an offer. ``n1-standard-8+T4:1`` is a host with accelerators attached."""
    offer = choice.offer
    host = offer.type.partition("+")[0]
    if offer.type in TPU_MACHINES:
        machine, topology = TPU_MACHINES[offer.type]
        return Map(machineType=machine, tpuTopology=topology)
    if not offer.count:
        return Map(machineType=host)
    return Map(machineType=host, acceleratorType=ACCELERATORS[offer.accelerator], acceleratorCount=offer.count)


def run_bucket(context: LoweringContext) -> Any:
    """The bucket that a run's code and results lie in: one of its own."""
    return context.resource(
        "gcp.storage_bucket",
        {
            "project": project(context),
            "name": bucket_name(context, "runs"),
            "location": region(context).upper(),
            "iamConfiguration": PRIVATE,
            "forceDestroy": True,
            **given(labels=labels(context)),
        },
        role="bucket",
    )


PRIVATE = Map(uniformBucketLevelAccess=Map(enabled=True), publicAccessPrevention="enforced")
