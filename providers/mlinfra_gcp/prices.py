"""What a month of a resource costs, by the catalogue. https://cloud.google.com/compute/all-pricing"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.cost import Cost
from mlinfra.model.values import EMPTY, Map, is_known
from mlinfra.provider.hardware.choice import find
from mlinfra.provider.hardware.offers import of_type
from mlinfra_gcp.lowering.common import ACCELERATORS, TPU_MACHINES

Price = Callable[[Map, Map], Cost | None]
_NAMES = {v: k for k, v in ACCELERATORS.items()}
_SLICES = {machine: slice_ for slice_, (machine, _) in TPU_MACHINES.items()}
_VERTEX = "Vertex AI adds a fee of about 15 %"
_DISKS = {"pd-standard": 0.04, "pd-balanced": 0.10, "pd-ssd": 0.17}
"""USD a GB and month in the us regions (https://cloud.google.com/compute/disks-image-pricing), 2025-03."""


def _region(attributes: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    place = (
        attributes.get("location") or attributes.get("zone") or settings.get("zone") or settings.get("region") or "us-central1"
    )
    return re.sub(r"-[a-z]\Z", "", str(place))


def _machine(type: str, region: str, count: int, *, spot: bool = False, about: str = "") -> Cost:
    """Machines of a type (``n1-standard-8+T4:1``: with accelerators attached)."""
    choice = find(of_type("mlinfra_gcp", type), type, region, spot=spot)
    if choice is None:
        return Cost(monthly=None, sentence=f"{count} × {type}: not in the catalogue for {region}")
    return choice.cost(count, about=about)


def _spec(machine: Any) -> str:
    """The catalogue's name of a MachineSpec; empty while it is not known."""
    if not isinstance(machine, Mapping) or not isinstance(machine.get("machineType"), str):
        return ""
    host, gpu = str(machine["machineType"]), _NAMES.get(str(machine.get("acceleratorType")), "")
    return f"{host}+{gpu}:{machine.get('acceleratorCount')}" if gpu and host.startswith("n1-") else _SLICES.get(host, host)


def _instance(attributes: Map, settings: Map) -> Cost | None:
    machine = attributes.get("machineType")
    if not isinstance(machine, str):
        return None
    spot = (attributes.get("scheduling") or EMPTY).get("provisioningModel") == "SPOT"
    return _machine(machine.rpartition("/")[2], _region(attributes, settings), 1, spot=spot)


def _group(attributes: Map, settings: Map) -> Cost | None:
    size = attributes.get("targetSize")
    return Cost(monthly=None, sentence=f"{size} machines of its template") if isinstance(size, int) and size else None


def _disk(attributes: Map, settings: Map) -> Cost | None:
    size, kind = attributes.get("sizeGb"), str(attributes.get("type") or "pd-standard").rpartition("/")[2]
    if size is None or not str(size).isdigit():
        return None
    told = f"{size} GB of {kind}"
    if kind not in _DISKS or not _region(attributes, settings).startswith("us-"):
        return Cost(monthly=None, sentence=told)
    rate = _DISKS[kind]
    return Cost(
        monthly=int(size) * rate,
        sentence=f"{told} at {rate:g} USD a GB",
        source="Compute Engine's price list, us",
        as_of="2025-03",
    )


def _deployed(attributes: Map, settings: Map) -> Cost | None:
    name, count = _spec(attributes.get("machineSpec")), attributes.get("minReplicaCount")
    region = _region({"location": str(attributes.get("endpoint") or "").partition("/locations/")[2].partition("/")[0]}, settings)
    return _machine(name, region, count, about=_VERTEX) if name and isinstance(count, int) else None


def _persistent(attributes: Map, settings: Map) -> Cost | None:
    monthly, known = 0.0, True
    told: list[str] = []
    source = as_of = ""
    for pool in attributes.get("resourcePools") or ():
        count = pool.get("replicaCount") or (pool.get("autoscalingSpec") or EMPTY).get("minReplicaCount") or 1
        name = _spec(pool.get("machineSpec"))
        if not name or not str(count).isdigit():
            return None
        cost = _machine(name, _region(attributes, settings), int(count))
        told.append(cost.sentence)
        source, as_of = cost.source or source, cost.as_of or as_of
        known = known and cost.monthly is not None
        monthly += cost.monthly or 0.0
    return Cost(monthly=monthly if known else None, sentence=f"{'; '.join(told)}; {_VERTEX}", source=source, as_of=as_of)


def _hardware(attributes: Map, settings: Map) -> Cost | None:
    name = _spec(attributes.get("machine"))
    if not name:
        return None
    offer = find(of_type("mlinfra_gcp", name), name, _region({}, settings))
    rate = f" at {offer.offer.usd:g} USD an hour" if offer is not None and offer.offer.usd is not None else ""
    told = f"nothing while no job runs; {name}{rate} while one does"
    return Cost(monthly=0.0, sentence=told, source=offer.offer.source if offer else "", as_of=offer.offer.date if offer else "")


def _tpu(attributes: Map, settings: Map) -> Cost | None:
    for spec in (attributes.get("tpu") or EMPTY).get("nodeSpec") or ():
        slice_ = (spec.get("node") or EMPTY).get("acceleratorType")
        if isinstance(slice_, str):
            return _machine(slice_, _region(attributes, settings), 1, spot=attributes.get("spot") is not None)
    return None


PRICES: Mapping[str, Price] = {
    "gcp.compute_instance": _instance,
    "gcp.compute_instance_group_manager": _group,
    "gcp.compute_disk": _disk,
    "gcp.vertex_deployed_model": _deployed,
    "gcp.vertex_persistent_resource": _persistent,
    "gcp.job_hardware": _hardware,
    "gcp.tpu_queued_resource": _tpu,
}


def price(type: str, attributes: Map, settings: Map) -> Cost | None:
    """The price of a resource, where it has one and what it depends on is known."""
    found = PRICES.get(type)
    return found(Map({k: v for k, v in attributes.items() if is_known(v)}), settings) if found else None
