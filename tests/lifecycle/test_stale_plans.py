"""A plan is applied as it was approved, or not at all; disjoint plans both apply."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.lab import Lab, thing

from mlinfra.model.errors import PlanStale
from mlinfra.model.values import Ref


def test_a_plan_whose_object_changed_meanwhile_names_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1), thing("b", value=1))
    old = lab.plan(thing("a", value=2), thing("b", value=1))
    lab.run(thing("a", value=3), thing("b", value=1))
    with pytest.raises(PlanStale, match="a was changed since"):
        lab.apply(old)


def test_disjoint_plans_both_apply(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1), thing("b", value=1))
    one = lab.plan(thing("a", value=2), thing("b", value=1))
    two = lab.plan(thing("a", value=1), thing("b", value=2))
    lab.apply(one)
    lab.apply(two)
    assert [lab.cloud.named(n).attributes["value"] for n in "ab"] == [2, 2]  # type: ignore[union-attr]


def test_a_plan_to_create_what_somebody_created_meanwhile_is_stale(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    old = lab.plan(thing("a"))
    lab.run(thing("a"))
    with pytest.raises(PlanStale, match="a was created since"):
        lab.apply(old)


def test_a_plan_that_refers_to_what_is_gone_meanwhile_is_stale(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    old = lab.plan(thing("a"), thing("b", value=Ref("a", ("url",))))
    lab.run()
    with pytest.raises(PlanStale, match="a was deleted since"):
        lab.apply(old)


def test_a_plan_is_stale_after_delete_and_create_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", value=1))
    old = lab.plan(thing("a", value=2))
    lab.run()
    lab.run(thing("a", value=1))
    with pytest.raises(PlanStale):
        lab.apply(old)
