"""Every line of every cloud's catalogue is believable."""

from __future__ import annotations

import pytest

from mlinfra.provider.hardware.offers import load, of_type, problems

CATALOGUES = ("mlinfra_aws", "mlinfra_gcp", "mlinfra_azure")


@pytest.mark.parametrize("package", CATALOGUES)
def test_no_line_is_implausible(package: str) -> None:
    offers = load(package)
    assert len(offers) > 500
    assert [(o.type, p) for o in offers for p in problems(o)] == []


@pytest.mark.parametrize("package", CATALOGUES)
def test_a_type_has_the_same_hardware_on_every_line(package: str) -> None:
    seen: dict[str, object] = {}
    for o in load(package):
        hardware = (o.vcpus, o.memory, o.accelerator, o.count, o.accelerator_memory, o.uses)
        assert seen.setdefault(o.type, hardware) == hardware


@pytest.mark.parametrize("package", CATALOGUES)
def test_a_type_has_one_price_in_a_region(package: str) -> None:
    seen = set()
    for o in load(package):
        assert o.regions
        for region in o.regions:
            assert (o.type, region) not in seen
            seen.add((o.type, region))


@pytest.mark.parametrize("package", CATALOGUES)
def test_the_offers_of_one_type_are_those_that_all_offers_have_of_it(package: str) -> None:
    offers = load(package)
    for type in sorted({o.type for o in offers})[::20]:
        assert of_type(package, type) == tuple(o for o in offers if o.type == type)
    assert of_type(package, "no-such-type") == ()
