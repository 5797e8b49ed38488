"""What the AWS catalogue offers: every line believable, the figures that people know, the errors that they meet."""

from __future__ import annotations

import pytest

from mlinfra.kinds.endpoint import Resources as Replica
from mlinfra.kinds.training_cluster import Resources
from mlinfra.provider.hardware.choice import NothingFits, choose
from mlinfra.provider.hardware.lowering import needs_of
from mlinfra.provider.hardware.offers import GIB, load

OFFERS = load("mlinfra_aws")


def best(use: str, region: str = "us-east-1", **resources: object) -> str:
    return choose(OFFERS, needs_of(Resources.model_validate(resources), use), region, target="aws").offer.type


def test_a_family_s_price_of_a_cpu_is_one_in_a_region() -> None:
    """AWS prices families so (burstable ones by their memory); an outlier is a mistake of the source."""
    by_family: dict[tuple[str, str], list[float]] = {}
    for o in OFFERS:
        if o.usd is not None and not o.count and "vm" in o.uses:
            for region in o.regions:
                rate = o.usd / (o.memory / GIB if o.type.startswith("t3.") else o.vcpus)
                by_family.setdefault((o.type.rpartition(".")[0], region), []).append(rate)
    assert len(by_family) > 100
    assert {key: rates for key, rates in by_family.items() if max(rates) / min(rates) > 1.05} == {}


@pytest.mark.parametrize(
    ("type", "region", "usd", "hardware"),
    [
        ("g4dn.xlarge", "us-east-1", 0.526, "4 CPUs, 16 GiB, 1 × T4 of 16 GB"),
        ("g5.xlarge", "us-east-1", 1.006, "4 CPUs, 16 GiB, 1 × A10G of 24 GB"),
        ("g6.xlarge", "us-east-1", 0.8048, "4 CPUs, 16 GiB, 1 × L4 of 24 GB"),
        ("g6e.xlarge", "us-east-1", 1.861, "4 CPUs, 32 GiB, 1 × L40S of 48 GB"),
        ("p5.4xlarge", "us-east-1", 6.88, "16 CPUs, 256 GiB, 1 × H100 of 80 GB"),
        ("p5.48xlarge", "us-east-1", 55.04, "192 CPUs, 2048 GiB, 8 × H100 of 80 GB"),
        ("p5en.48xlarge", "us-east-1", 63.296, "192 CPUs, 2048 GiB, 8 × H200 of 141 GB"),
        ("p6-b200.48xlarge", "us-east-1", 113.9328, "192 CPUs, 2048 GiB, 8 × B200 of 192 GB"),
        ("trn1.32xlarge", "us-east-1", 21.5, "128 CPUs, 512 GiB, 16 × Trainium of 32 GB"),
        ("inf2.xlarge", "us-east-1", 0.7582, "4 CPUs, 16 GiB, 1 × Inferentia2 of 32 GB"),
        ("ml.g5.xlarge", "us-west-2", 1.408, "4 CPUs, 16 GiB, 1 × A10G of 24 GB"),
    ],
)
def test_figures_that_are_public(type: str, region: str, usd: float, hardware: str) -> None:
    offer = next(o for o in OFFERS if o.type == type and region in o.regions)
    assert offer.usd == usd
    assert offer.hardware == hardware


def test_the_cheapest_machine_for_what_is_asked() -> None:
    assert best("vm", accelerators="H100:8") == "p5.48xlarge"
    assert best("vm", accelerators="H100") == "p5.4xlarge"
    assert best("vm", accelerators="Trainium:16") == "trn1.32xlarge"
    assert best("vm", gpu={"memory": "24GB..", "count": 1}) == "g6.xlarge"
    assert best("training", "us-west-2", gpu={"memory": "24GB..", "count": 1}) == "ml.g6.xlarge"
    assert best("training", accelerators="H100:8") == "ml.p5.48xlarge"
    assert best("vm", cpus=4, memory="16GB").partition(".")[0] in ("t3", "m5")
    needs = needs_of(Replica(cpus=1, memory=2 * GIB), "hosting")
    assert choose(OFFERS, needs, "us-east-1", target="aws").offer.type.startswith("ml.")


@pytest.mark.parametrize(
    ("resources", "region", "message"),
    [
        ({"accelerators": "TPU-v5e:8"}, "us-east-1", "aws has no accelerator 'TPU-v5e'"),
        ({"accelerators": "H100:4"}, "us-east-1", "aws has no machine with H100:4"),
        ({"accelerators": "H100:8"}, "eu-central-1", r"aws does not offer H100:8 \(p5.48xlarge\) in eu-central-1"),
        ({"instance_type": "p5.48xlrge"}, "us-east-1", "aws has no instance type 'p5.48xlrge' for vm"),
    ],
)
def test_what_aws_has_not_got(resources: dict[str, object], region: str, message: str) -> None:
    with pytest.raises(NothingFits, match=message):
        best("vm", region, **resources)
