"""What a month of a resource costs, by the catalogue. https://azure.microsoft.com/pricing/details/virtual-machines/linux/"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.cost import Cost
from mlinfra.model.values import EMPTY, Map, is_known
from mlinfra.provider.hardware.choice import find
from mlinfra.provider.hardware.offers import of_type

Price = Callable[[Map, Map], Cost | None]
_DISKS: Mapping[str, Mapping[int, float]] = {
    "Premium_LRS": {32: 5.28, 64: 10.21, 128: 19.71, 256: 38.01, 512: 73.22, 1024: 135.17, 2048: 259.05, 4096: 495.57},
    "StandardSSD_LRS": {32: 2.40, 64: 4.80, 128: 9.60, 256: 19.20, 512: 38.40, 1024: 76.80, 2048: 153.60, 4096: 307.20},
    "Standard_LRS": {32: 1.54, 64: 3.01, 128: 5.89, 256: 11.33, 512: 21.76, 1024: 40.96, 2048: 77.83, 4096: 143.36},
}
"""USD a month in East US by the size that a disk is billed as: https://azure.microsoft.com/pricing/details/managed-disks/, 2025-03."""
_REGISTRIES = {"Basic": 0.167, "Standard": 0.667, "Premium": 1.667}
"""USD a day: https://azure.microsoft.com/pricing/details/container-registry/, 2025-03."""
_DAYS = 365 / 12
_DATE = "2025-03"


def _region(attributes: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    return str(attributes.get("location") or settings.get("location") or "eastus")


def _machine(size: Any, region: str, count: int, *, spot: bool = False, about: str = "") -> Cost | None:
    if not isinstance(size, str):
        return None
    choice = find(of_type("mlinfra_azure", size), size, region, spot=spot)
    if choice is None:
        return Cost(monthly=None, sentence=f"{count} × {size}: not in the catalogue for {region}")
    return choice.cost(count, about=about)


def _virtual_machine(attributes: Map, settings: Map) -> Cost | None:
    spot = attributes.get("priority") == "Spot"
    return _machine((attributes.get("hardwareProfile") or EMPTY).get("vmSize"), _region(attributes, settings), 1, spot=spot)


def _scale_set(attributes: Map, settings: Map) -> Cost | None:
    sku = attributes.get("sku") or EMPTY
    count, spot = sku.get("capacity"), (attributes.get("virtualMachineProfile") or EMPTY).get("priority") == "Spot"
    return _machine(sku.get("name"), _region(attributes, settings), count, spot=spot) if isinstance(count, int) else None


def _disk(attributes: Map, settings: Map) -> Cost | None:
    size, kind = attributes.get("diskSizeGB"), (attributes.get("sku") or EMPTY).get("name")
    if not isinstance(size, int):
        return None
    billed = next((step for step in sorted(_DISKS.get(str(kind), {})) if step >= size), None)
    if billed is None:
        return Cost(monthly=None, sentence=f"{size} GB of {kind or 'a disk'}")
    told = f"{size} GB of {kind}, billed as {billed} GB; other regions differ"
    return Cost(
        monthly=_DISKS[str(kind)][billed], sentence=told, source="Azure's price list of managed disks, eastus", as_of=_DATE
    )


def _compute(attributes: Map, settings: Map) -> Cost | None:
    properties = attributes.get("properties") or EMPTY
    scale = properties.get("scaleSettings") or EMPTY
    least, most, size = scale.get("minNodeCount", 0), scale.get("maxNodeCount", 0), properties.get("vmSize")
    if not isinstance(least, int) or not isinstance(size, str):
        return None
    spot = properties.get("vmPriority") == "LowPriority"
    if least:
        return _machine(size, _region(attributes, settings), least, spot=spot, about=f"{most} at most")
    offer = find(of_type("mlinfra_azure", size), size, _region(attributes, settings), spot=spot)
    usd = None if offer is None else (offer.offer.spot_usd if spot else offer.offer.usd)
    told = (
        f"nothing while no job runs; up to {most} × {size}{f' at {usd:g} USD an hour' if usd is not None else ''} while some do"
    )
    return Cost(monthly=0.0, sentence=told, source=offer.offer.source if offer else "", as_of=offer.offer.date if offer else "")


def _deployment(attributes: Map, settings: Map) -> Cost | None:
    count = (attributes.get("sku") or EMPTY).get("capacity")
    return _machine(attributes.get("instanceType"), _region(attributes, settings), count) if isinstance(count, int) else None


def _container_registry(attributes: Map, settings: Map) -> Cost | None:
    return _registry((attributes.get("sku") or EMPTY).get("name"), "")


def _ml_registry(attributes: Map, settings: Map) -> Cost | None:
    """A registry brings a container registry along."""
    for region in attributes.get("regionDetails") or ():
        for detail in region.get("acrDetails") or ():
            return _registry((detail.get("systemCreatedAcrAccount") or EMPTY).get("acrAccountSku"), "; storage is paid by use")
    return None


def _registry(sku: Any, about: str) -> Cost | None:
    if sku not in _REGISTRIES:
        return None
    told = f"a {sku} container registry at {_REGISTRIES[sku]:g} USD a day{about}"
    return Cost(monthly=_REGISTRIES[sku] * _DAYS, sentence=told, source="Azure's price list of container registries", as_of=_DATE)


def _address(attributes: Map, settings: Map) -> Cost | None:
    told = "a public address at 0.005 USD an hour"
    return Cost(monthly=0.005 * 730, sentence=told, source="Azure's price list of IP addresses", as_of=_DATE)


PRICES: Mapping[str, Price] = {
    "azure.virtual_machine": _virtual_machine,
    "azure.vm_scale_set": _scale_set,
    "azure.disk": _disk,
    "azure.ml_compute": _compute,
    "azure.ml_online_deployment": _deployment,
    "azure.container_registry": _container_registry,
    "azure.ml_registry": _ml_registry,
    "azure.public_ip": _address,
}


def price(type: str, attributes: Map, settings: Map) -> Cost | None:
    """The price of a resource, where it has one and what it depends on is known."""
    found = PRICES.get(type)
    return found(Map({k: v for k, v in attributes.items() if is_known(v)}), settings) if found else None
