"""What a plan says of the bill: every resource that has a price, before and after, and the sum of all."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.change import Action, Change
from mlinfra.model.cost import Cost
from mlinfra.model.resource import Resource
from mlinfra.model.values import Map, Ref
from mlinfra.plan.file import PlanFile, read_plan, write_plan
from mlinfra.plan.planner import Made


def machine(address: str, count: object = 1, **more: object) -> Resource:
    return thing(address, type="fake.machine", plan="small", count=count, **more)  # type: ignore[arg-type]


def small(size: object = 10) -> Resource:
    return thing("small", value=size)


def monthly(made: Made, address: str) -> tuple[float | None, float | None]:
    change = next(c for c in made.plan.changes if c.address == address)
    was, becomes = change.cost_before, change.cost_after
    return was.monthly if was else None, becomes.monthly if becomes else None


def sums(made: Made) -> tuple[float, float]:
    total = made.plan.cost()
    assert total is not None
    return total.before, total.after


def test_a_new_resource_costs_what_the_thing_that_it_refers_to_says(tmp_path: Path) -> None:
    made = Lab(tmp_path).plan(small(), machine("a", 3))
    assert monthly(made, "a") == (None, 30.0)
    assert sums(made) == (0.0, 30.0)
    change = next(c for c in made.plan.changes if c.address == "a")
    assert change.cost_after == Cost(monthly=30.0, sentence="3 of 10", source="price list", as_of="2025-03")
    assert change.risk.sentence == "fake.machine a costs 30.00 USD a month"


def test_the_settings_of_the_provider_count(tmp_path: Path) -> None:
    made = Lab(tmp_path).plan(small(), machine("a"), settings={"fake": Map(rate=2.5)})
    assert sums(made) == (0.0, 25.0)


def test_a_change_shows_both_sides_and_what_stays_is_in_the_sum(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(small(), machine("a", 1), machine("b", 5))
    made = lab.plan(small(), machine("a", 2), machine("b", 5))
    assert monthly(made, "a") == (10.0, 20.0)
    assert sums(made) == (60.0, 70.0)


def test_what_only_a_neighbour_changes_costs_something_else_too(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(small(), machine("a", 2))
    made = lab.plan(small(100), machine("a", 2))
    assert next(c for c in made.plan.changes if c.address == "a").action is Action.NOOP
    assert monthly(made, "a") == (20.0, 200.0)


def test_a_deletion_and_a_destroy_save_money(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(small(), machine("a", 1), machine("b", 5))
    assert sums(lab.plan(small(), machine("a", 1))) == (60.0, 10.0)
    assert sums(lab.plan(small(), machine("a", 1), machine("b", 5), mode="destroy")) == (60.0, 0.0)


def test_what_is_forgotten_goes_on_costing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(small(), machine("a"))
    assert sums(lab.plan(small(), forget=("a",))) == (10.0, 10.0)


def test_what_the_plan_leaves_alone_is_in_the_sum(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(small(), machine("a", 1), machine("b", 5))
    made = lab.plan(small(), machine("a", 2), machine("b", 50), targets=("a",))
    assert dict(made.plan.standing) == {"b": Cost(monthly=50.0, sentence="5 of 10", source="price list", as_of="2025-03")}
    assert sums(made) == (60.0, 70.0)


def test_an_unknown_price_is_said_and_never_summed(tmp_path: Path) -> None:
    made = Lab(tmp_path).plan(
        small(), machine("a", 1), thing("late"), machine("b", Ref("late", ("url",))), thing("c", type="fake.machine", plan="none")
    )
    total = made.plan.cost()
    assert total is not None
    assert (total.after, tuple(sorted(total.unknown)), total.unknown_before, total.delta_is_known) == (
        10.0,
        ("b", "c"),
        (),
        False,
    )


def test_a_stack_without_prices_has_no_sum(tmp_path: Path) -> None:
    assert Lab(tmp_path).plan(small()).plan.cost() is None


def test_a_saved_plan_carries_its_costs(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(small(), machine("a", 1), machine("b", 5))
    made = lab.plan(small(), machine("a", 2), targets=("a",))
    write_plan(tmp_path / "x.plan", PlanFile(plan=made.plan), lab.location.sealer())
    loaded = read_plan(tmp_path / "x.plan").plan
    assert loaded.changes == made.plan.changes
    assert loaded.cost() == made.plan.cost()


def test_the_oldest_figure_dates_the_sum() -> None:
    from mlinfra.model.plan import Plan

    def change(address: str, as_of: str) -> Change:
        cost = Cost(monthly=1.0, source="list", as_of=as_of)
        return Change(action=Action.CREATE, address=address, type="t", provider="p", cost_after=cost)

    total = Plan(changes=(change("a", "2026-01"), change("b", "2025-03"))).cost()
    assert total is not None
    assert (total.as_of, total.sources, total.after) == ("2025-03", ("list",), 2.0)
