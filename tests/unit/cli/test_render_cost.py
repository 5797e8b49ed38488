"""Cost lines of a plan, and ``mlinfra cost``."""

from __future__ import annotations

import pytest

from mlinfra.cli.formats.terraform_plan import terraform_plan
from mlinfra.cli.render_cost import change_text, costs_json, costs_text, total_text
from mlinfra.cli.render_plan import plan_text
from mlinfra.model.change import Action, Change, Risk, RiskLevel
from mlinfra.model.cost import Cost, CostTotal
from mlinfra.model.plan import Operation, Plan, Step


def priced(monthly: float | None, sentence: str = "2 × g5.xlarge at 1.006 USD/h") -> Cost:
    return Cost(monthly=monthly, sentence=sentence, source="AWS on-demand", as_of="2025-03")


def change(
    was: Cost | None, becomes: Cost | None, *, action: Action = Action.UPDATE, address: str = "api", risk: Risk | None = None
) -> Change:
    return Change(
        action=action, address=address, type="t", provider="p", cost_before=was, cost_after=becomes, risk=risk or Risk()
    )


def whole(*changes: Change) -> Plan:
    return Plan(changes=changes, steps=(Step(operation=Operation.UPDATE, change=0),))


ORIGIN = " (AWS on-demand, as of 2025-03)"


@pytest.mark.parametrize(
    ("was", "becomes", "text"),
    [
        (None, priced(1468.76), f"1,468.76 USD a month: 2 × g5.xlarge at 1.006 USD/h{ORIGIN}"),
        (None, priced(None, "80 GB"), f"price unknown: 80 GB{ORIGIN}"),
        (priced(734.38), priced(1468.76), f"734.38 → 1,468.76 USD a month (+734.38): 2 × g5.xlarge at 1.006 USD/h{ORIGIN}"),
        (priced(10.0, ""), priced(2.5, ""), f"10.00 → 2.50 USD a month (-7.50){ORIGIN}"),
        (priced(10.0, ""), None, f"saves 10.00 USD a month{ORIGIN}"),
        (priced(10.0, ""), priced(None, ""), f"10.00 → unknown USD a month{ORIGIN}"),
        (priced(0.0, "idle"), priced(0.0, "idle, up to 4"), f"0.00 USD a month, as before: idle, up to 4{ORIGIN}"),
        (priced(10.0), priced(10.0), ""),
        (None, None, ""),
    ],
)
def test_a_change_says_what_it_does_to_the_bill(was: Cost | None, becomes: Cost | None, text: str) -> None:
    assert change_text(change(was, becomes)) == text


def test_a_plan_ends_with_the_sum_its_difference_and_its_source() -> None:
    text = plan_text(whole(change(priced(10.0), priced(30.0)), change(priced(1.0), priced(1.0), action=Action.NOOP, address="b")))
    assert text.endswith(
        "Cost: 11.00 → 31.00 USD a month (+20.00), by AWS on-demand; oldest figure of 2025-03.\n\n"
        "Plan: 0 to add, 1 to change, 0 to destroy."
    )
    assert "      $ 10.00 → 30.00 USD a month (+20.00)" in text


def test_that_it_costs_money_is_not_said_twice() -> None:
    risk = Risk(RiskLevel.COSTS_MONEY, "endpoint api costs 30.00 USD a month")
    assert "⚠" not in plan_text(whole(change(None, priced(30.0), risk=risk)))
    assert "⚠ costs money" in plan_text(whole(change(None, None, risk=risk)))


def test_a_plan_that_changes_nothing_says_nothing_of_money() -> None:
    assert "USD" not in plan_text(Plan(changes=(change(priced(1.0), priced(1.0), action=Action.NOOP),)))


def test_unknown_prices_are_named_and_many_are_counted() -> None:
    named = "Price unknown, not in the sum: a, b, c, d, e, f and 2 more."
    stand = CostTotal(before=5.0, after=5.0, unknown=tuple("abcdefgh"), unknown_before=tuple("abcdefgh"))
    assert total_text(stand) == f"Cost: 5.00 USD a month, as before.\n{named}"
    come = CostTotal(before=5.0, after=5.0, unknown=tuple("abcdefgh"), unknown_before=tuple("ab"))
    assert total_text(come) == f"Cost: 5.00 → 5.00 USD a month (+0.00 and 6 unknown).\n{named}"


def test_the_table_lists_what_costs_and_what_is_left_alone() -> None:
    plan = Plan(
        changes=(change(priced(10.0), priced(30.0)), change(None, None, address="free")), standing={"other": priced(None, "disk")}
    )
    lines = costs_text(plan).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["api", "other"]
    assert lines[1].split()[1:3] == ["10.00", "30.00"] and lines[2].split()[1:3] == ["unknown", "unknown"]
    assert "free" not in costs_text(plan)
    assert costs_text(Plan()) == "Nothing in this stack has a price of its own."


def test_as_data_the_difference_is_null_when_something_of_unknown_price_comes() -> None:
    data = costs_json(whole(change(priced(10.0), priced(30.0)), change(None, priced(None), address="disk")))
    assert data["total"]["before"] == 10.0 and data["total"]["after"] == 30.0 and data["total"]["delta"] is None
    assert data["total"]["unknown"] == ["disk"] and data["total"]["hours"] == 730
    assert [r["address"] for r in data["resources"]] == ["api", "disk"]
    assert data["resources"][0]["after"]["as_of"] == "2025-03"


def test_a_plan_as_data_carries_the_costs() -> None:
    data = terraform_plan(whole(change(priced(10.0), priced(30.0))))
    assert data["mlinfra"]["cost"]["delta"] == 20.0
    assert data["resource_changes"][0]["mlinfra"]["cost"]["before"]["monthly"] == 10.0
    assert terraform_plan(whole(change(None, None)))["mlinfra"]["cost"] is None
