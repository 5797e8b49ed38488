"""The hardware catalogue: lines that cannot be believed, the cheapest offer that fits, and why nothing fits."""

from __future__ import annotations

import pytest

from mlinfra.kinds.endpoint import Resources as Replica
from mlinfra.kinds.training_cluster import Resources
from mlinfra.provider.hardware.choice import Needs, NothingFits, choose, find
from mlinfra.provider.hardware.lowering import needs_of
from mlinfra.provider.hardware.offers import COLUMNS, Offer, parse

HEAD = ",".join(COLUMNS)
LINES = """\
x,small,vm,2,4,,,,east west,0.05,0.01,list,2025-03
x,big,vm,16,64,,,,east west,0.8,,list,2025-03
x,a10,vm,4,16,A10G,1,24,east,1.0,0.3,list,2025-03
x,a10,vm,4,16,A10G,1,24,west,,,,
x,l4,vm training,8,32,L4,1,24,east,0.9,0.5,list,2025-03
x,h100,vm,192,2048,H100,8,80,east,55,14,list,2025-06
x,h100s,vm,16,256,H100,1,80,east,6.9,,list,2025-06
x,a80,vm,96,1152,A100-80GB,8,80,west,27,,list,2025-06
x,trn,vm,128,512,Trainium,16,32,west,,,,
x,ml.l4,training,8,32,L4,1,24,east,1.1,,list,2025-03"""
OFFERS = tuple(parse([HEAD, *LINES.splitlines()]))


def chosen(region: str = "east", use: str = "vm", **resources: object) -> Offer:
    return choose(OFFERS, needs_of(Resources.model_validate(resources), use), region, target="x").offer


def refused(region: str = "east", use: str = "vm", **resources: object) -> NothingFits:
    with pytest.raises(NothingFits) as caught:
        chosen(region, use, **resources)
    return caught.value


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("x,t,vm,2,4,,,,east,0.5,0.6,list,2025", "spot price of 0.6 above the 0.5"),
        ("x,t,vm,2,4,,,,east,0,,list,2025", "a price of 0 is no price"),
        ("x,t,vm,2,4,,,,east,1,0,list,2025", "a price of 0 is no price"),
        ("x,t,vm,2,4,H100,12,80,east,,,,", "12 accelerators in one machine"),
        ("x,t,vm,2,4,H100,10,80,east,,,,", "10 accelerators in one machine"),
        ("x,t,vm,2,4,H100,32,80,east,,,,", "32 accelerators in one machine"),
        ("x,t,vm,2,4,H100,8,,east,,,,", "an accelerator has memory"),
        ("x,t,vm,2,4,,8,80,east,,,,", "an accelerator needs its count"),
        ("x,t,vm,0,4,,,,east,,,,", "a machine has CPUs and memory"),
        ("x,t,vm,2,4,,,,east,1.5,,,", "a price needs its source and date"),
        ("x,t,vm,two,4,,,,east,,,,", "could not convert string to float"),
    ],
)
def test_a_line_that_cannot_be_believed_is_refused_with_its_place(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"figures\.csv:2: .*" + problem):
        list(parse([HEAD, line], "figures.csv"))


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="the columns must be"):
        list(parse(["type,price", "t,1"]))


def test_the_cheapest_that_fits_is_chosen() -> None:
    assert chosen(accelerators="L4").type == "l4"
    assert chosen(accelerators="h100:8").type == "h100"
    assert chosen(accelerators="H100").type == "h100s"
    assert chosen(gpu={"memory": "24GB..", "count": 1}).type == "l4"
    assert chosen(gpu={"memory": "24GiB"}, cpus=8).type == "l4"
    assert chosen(cpus=2).type == "small"
    assert chosen(memory="16GB").type == "big"
    assert chosen().type == "small"


def test_spot_prices_decide_when_spot_is_asked_for() -> None:
    assert chosen(gpu={"memory": "24GB..", "count": 1}, spot=True).type == "a10"


def test_hardware_is_chosen_among_what_can_be_had_for_the_use() -> None:
    assert chosen(accelerators="L4", use="training").type == "l4"
    assert refused(accelerators="H100:8", use="training").message == "x has no accelerator 'H100'"


def test_a_name_may_carry_the_memory_or_a_generation() -> None:
    assert chosen(accelerators="H100-80GB:8").type == "h100"
    assert chosen("west", accelerators="Trainium1:16").type == "trn"


def test_a_price_that_is_known_elsewhere_decides_but_is_not_passed_off_as_this_region_s() -> None:
    cost = choose(OFFERS, Needs(accelerator="A10G", count=1), "west", target="x").cost(2)
    assert cost.monthly is None
    assert "the price in west is not known, in east it is 1 USD an hour" in cost.sentence


def test_the_cost_says_how_it_comes_about() -> None:
    cost = choose(OFFERS, Needs(accelerator="H100", count=1), "east", target="x").cost(2, about="at most 4")
    assert cost.monthly == pytest.approx(6.9 * 2 * 730)
    assert cost.sentence == "2 × h100s (16 CPUs, 256 GiB, 1 × H100 of 80 GB) at 6.9 USD an hour; at most 4"
    assert (cost.source, cost.as_of) == ("list, east", "2025-06")
    spot = choose(OFFERS, Needs(accelerator="H100", count=1, spot=True), "east", target="x").cost()
    assert spot.monthly is None and "the spot price is not known, on demand it is 6.9" in spot.sentence


@pytest.mark.parametrize(
    ("resources", "message", "hint", "path"),
    [
        ({"accelerators": "TPU-v5e:8"}, "x has no accelerator 'TPU-v5e'", "x has A100-80GB, A10G, H100, L4, Trainium", ("accelerators",)),
        ({"accelerators": "H10:8"}, "x has no accelerator 'H10'", "did you mean H100?", ("accelerators",)),
        ({"accelerators": "H100:4"}, "x has no machine with H100:4", "near misses: h100s (16 CPUs", ("accelerators",)),
        ({"accelerators": "H100:8", "cpus": 400}, "x has no machine with H100:8 with 400 CPUs", "h100 (192 CPUs", ("cpus",)),
        ({"accelerators": "L4", "memory": "1TB"}, "x has no machine with L4:1 with 931.323 GiB", "l4 (8 CPUs, 32 GiB", ("memory",)),
        ({"accelerators": "A100-80GB:8"}, "x does not offer A100-80GB:8 (a80) in east", "it is offered in west", ("accelerators",)),
        ({"gpu": {"memory": "500GB.."}}, "x has no GPU of that memory", "A10G (24 GB)", ("gpu",)),
        ({"gpu": {"memory": "24GB", "count": 8}}, "x has no machine with 8 GPU of 24 GB", "near misses: ", ("gpu",)),
        ({"instance_type": "h100x"}, "x has no instance type 'h100x' for vm", "did you mean h100", ("instance_type",)),
        ({"instance_type": "trn"}, "x does not offer trn in east", "it is offered in west", ("instance_type",)),
    ],
)  # fmt: skip
def test_when_nothing_fits_the_reason_and_the_near_misses_are_told(
    resources: dict[str, object], message: str, hint: str, path: tuple[str, ...]
) -> None:
    error = refused(**resources)
    assert error.message == message
    assert hint in error.hint
    assert error.path == path


def test_a_pinned_type_is_taken_as_it_is() -> None:
    assert chosen(instance_type="a10").type == "a10"


def test_a_type_is_found_to_be_priced() -> None:
    found = find(OFFERS, "a10", "west")
    assert found is not None and found.cost().monthly is None
    assert find(OFFERS, "nothing", "east") is None


def test_a_replica_of_an_endpoint_asks_for_less() -> None:
    needs = needs_of(Replica(cpus=1, memory=2 * 10**9), "hosting")
    assert (needs.cpus, needs.memory, needs.count, needs.use) == (1, 2 * 10**9, 0, "hosting")
