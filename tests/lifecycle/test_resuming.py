"""A saved plan that was begun and cut off: what is left of it is carried on, and nothing that was not approved."""

from __future__ import annotations

import pytest

from mlinfra.model.change import HALF_MADE, Action, Change
from mlinfra.model.errors import PlanStale
from mlinfra.model.plan import Plan
from mlinfra.plan.remaining import remaining


def change(action: Action, address: str, **more: object) -> Change:
    return Change(action=action, address=address, type="t", provider="p", **more)  # type: ignore[arg-type]


APPROVED = Plan(
    changes=(change(Action.CREATE, "made"), change(Action.UPDATE, "changed"), change(Action.REPLACE, "replaced"), change(Action.DELETE, "gone"),
             change(Action.NOOP, "same"))
)  # fmt: skip


@pytest.mark.parametrize(
    "left",
    [
        change(Action.CREATE, "made"),
        change(Action.REPLACE, "made", reason=HALF_MADE),
        change(Action.UPDATE, "changed"),
        change(Action.CREATE, "replaced"),
        change(Action.DELETE, "replaced", deposed="1f"),
        change(Action.DELETE, "gone"),
        change(Action.NOOP, "made"),
    ],
)
def test_what_is_left_of_an_approved_change_is_carried_on(left: Change) -> None:
    assert remaining(APPROVED, Plan(changes=(left,)), {"made": "was created since"}).changes == (left,)


@pytest.mark.parametrize(
    "other",
    [
        change(Action.UPDATE, "same"),
        change(Action.DELETE, "made"),
        change(Action.REPLACE, "changed"),
        change(Action.CREATE, "changed"),
        change(Action.DELETE, "stranger"),
        change(Action.REPLACE, "made", reason="a cannot be changed in place"),
    ],
)
def test_what_was_not_approved_is_refused_by_name(other: Change) -> None:
    with pytest.raises(PlanStale, match=f"{other.address} would now be .*which was not approved"):
        remaining(APPROVED, Plan(changes=(other,)), {})


def test_what_somebody_changed_meanwhile_is_not_changed_over() -> None:
    with pytest.raises(PlanStale, match="changed was changed since"):
        remaining(APPROVED, Plan(changes=(change(Action.UPDATE, "changed"),)), {"changed": "was changed since"})
