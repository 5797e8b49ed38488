"""What Azure's catalogue offers: the figures that people know, the choice that is made, the errors that are met."""

from __future__ import annotations

import pytest

from mlinfra.kinds.endpoint import Resources as Replica
from mlinfra.kinds.training_cluster import Resources
from mlinfra.provider.hardware.choice import NothingFits, choose
from mlinfra.provider.hardware.lowering import needs_of
from mlinfra.provider.hardware.offers import GIB, load

OFFERS = load("mlinfra_azure")


def best(use: str, region: str = "eastus", **resources: object) -> str:
    return choose(OFFERS, needs_of(Resources.model_validate(resources), use), region, target="azure").offer.type


@pytest.mark.parametrize(
    ("type", "usd", "hardware"),
    [
        ("Standard_DS3_v2", 0.293, "4 CPUs, 14 GiB"),
        ("Standard_NC4as_T4_v3", 0.526, "4 CPUs, 28 GiB, 1 × T4 of 16 GB"),
        ("Standard_NC24ads_A100_v4", 3.673, "24 CPUs, 220 GiB, 1 × A100-80GB of 80 GB"),
        ("Standard_ND96asr_v4", 27.197, "96 CPUs, 900 GiB, 8 × A100 of 40 GB"),
        ("Standard_NC40ads_H100_v5", 6.98, "40 CPUs, 320 GiB, 1 × H100 of 94 GB"),
        ("Standard_ND96isr_H100_v5", 98.32, "96 CPUs, 1900 GiB, 8 × H100 of 80 GB"),
    ],
)
def test_figures_that_are_public(type: str, usd: float, hardware: str) -> None:
    offer = next(o for o in OFFERS if o.type == type and "eastus" in o.regions)
    assert offer.usd == usd
    assert offer.hardware == hardware


def test_low_priority_is_a_fifth_of_the_price_and_never_more() -> None:
    rates = [o.spot_usd / o.usd for o in OFFERS if o.spot_usd is not None and o.usd is not None]
    assert len(rates) > 500
    assert min(rates) > 0.1 and max(rates) < 0.5


def test_the_cheapest_machine_for_what_is_asked() -> None:
    assert best("training", accelerators="H100:8") == "Standard_ND96isr_H100_v5"
    assert best("training", accelerators="H100") == "Standard_NC40ads_H100_v5"
    assert best("training", gpu={"memory": "80GB..", "count": 1}) == "Standard_NC24ads_A100_v4"
    assert best("vm", gpu={"memory": "24GB", "count": 1}) == "Standard_NV36ads_A10_v5"
    assert best("training", "westeurope", accelerators="A100-80GB") == "Standard_NC24ads_A100_v4"
    needs = needs_of(Replica(cpus=1, memory=2 * GIB), "serving")
    assert choose(OFFERS, needs, "westeurope", target="azure").offer.type == "Standard_DS1_v2"


@pytest.mark.parametrize(
    ("resources", "region", "message"),
    [
        ({"accelerators": "TPU-v5e:8"}, "eastus", "azure has no accelerator 'TPU-v5e'"),
        ({"accelerators": "H100:4"}, "eastus", "azure has no machine with H100:4"),
        ({"accelerators": "H100:8"}, "westeurope", r"azure does not offer H100:8 \(Standard_ND96isr_H100_v5\) in westeurope"),
        ({"instance_type": "Standard_NC6s_v33"}, "eastus", "azure has no instance type 'Standard_NC6s_v33' for training"),
    ],
)
def test_what_azure_has_not_got(resources: dict[str, object], region: str, message: str) -> None:
    with pytest.raises(NothingFits, match=message):
        best("training", region, **resources)
