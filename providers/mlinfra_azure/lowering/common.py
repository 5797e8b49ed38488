"""What the lowerings share: names, places, texts that wait for attributes, images, the catalogue."""

from __future__ import annotations

from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.hardware.offers import Offer, load
from mlinfra.provider.lowerings import given as given
from mlinfra.provider.lowerings import named as named
from mlinfra.provider.lowerings import own as own
from mlinfra.provider.lowerings import text as text
from mlinfra.provider.naming import digest_of, physical_name

IMAGES = {
    "cpu": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest",
    "gpu": "mcr.microsoft.com/azureml/curated/acpt-pytorch-2.2-cuda12.1:latest",
    "python": "docker.io/library/python:3.11-slim",
    "milvus": "milvusdb/milvus",
    "ray": "rayproject/ray",
}
"""Public images where the settings (``images``) name none of one's own. ``serving`` has none: Azure builds it from ``python``."""


def location(context: LoweringContext) -> str:
    return str(context.settings.get("location") or "eastus")


def based(context: LoweringContext, *, limit: int = 63) -> str:
    """The physical name of something that an environment's components share."""
    return physical_name(context.project, context.environment, "", limit=limit)


def worldwide(name: str, context: LoweringContext, *, limit: int = 24, separator: str = "") -> str:
    """A name that nobody else in the world has: with a digest of the subscription. Storage accounts take 3 to 24 lower-case letters and
    digits, key vaults 3 to 24 and ``-``: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
    unique = digest_of([context.settings.get("subscription"), context.project, context.environment, name], 8)
    clean = physical_name("", "", name, limit=200, separator=separator)
    return f"{clean[: limit - len(unique) - len(separator)].rstrip('-')}{separator}{unique}"


def image(context: LoweringContext, name: str) -> str:
    chosen = context.settings.get("images") or EMPTY
    return str(chosen.get(name) or IMAGES[name])


def offers() -> tuple[Offer, ...]:
    """Azure's hardware catalogue."""
    return load("mlinfra_azure")


def identified(identity: Value) -> Map:
    """ARM's ``identity`` of something that runs as a user-assigned identity."""
    return Map(type="UserAssigned", userAssignedIdentities=identity)
