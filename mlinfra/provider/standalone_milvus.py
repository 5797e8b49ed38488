"""What a cloud's own machine for Milvus standalone is made from: the same questions to a ``vector_database`` on gcp and azure."""

from __future__ import annotations

from dataclasses import dataclass

from mlinfra.kinds.base import is_deferred
from mlinfra.kinds.training_cluster import Resources
from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.hardware.choice import Choice, Needs
from mlinfra.provider.hardware.lowering import chosen
from mlinfra.provider.hardware.offers import Offer

PORT = 19530
_LEAST = Needs(cpus=4, memory=16 * 2**30)
"""Milvus standalone wants 4 cores and 8 GB at least (https://milvus.io/docs/prerequisite-docker.md)."""
_NEWEST = "2.6"
_RELEASES = {"2.6": "2.6.4", "2.5": "2.5.18", "2.4": "2.4.23"}


@dataclass(frozen=True, slots=True)
class Standalone:
    """``disk`` in decimal gigabytes; ``release`` is Milvus's version in full."""

    choice: Choice
    disk: int
    release: str


def standalone(
    spec: VectorDatabase, context: LoweringContext, *, target: str, offers: tuple[Offer, ...], region: str
) -> Standalone:
    """LoweringError where a token is asked for, where a size is not known yet, or where no machine fits."""
    if spec.token is not None:
        raise context.error(
            f"{target}.milvus_token",
            f"the Milvus that {target} sets up asks for no token",
            path=("token",),
            hint=f"leave token out: who reaches it is decided by the network (providers.{target}.allow); for users, use existing Milvus by uri",
        )
    asked = spec.resources
    disk = asked.disk if asked is not None and asked.disk is not None else 100 * 10**9
    for path, value in ((("resources", "disk"), disk), (("version",), spec.version)):
        if is_deferred(value):
            raise context.error(f"{target}.unknown_size", f"{path[-1]} must be known at plan time", path=path)
    size = Resources(cpus=None if asked is None else asked.cpus, memory=None if asked is None else asked.memory)
    choice = chosen(size, context, offers=offers, use="vm", region=region, least=_LEAST)
    version = str(spec.version or _NEWEST)
    return Standalone(choice, round(disk / 10**9), _RELEASES.get(version, version))
