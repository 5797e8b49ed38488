"""What a module makes once is made on one worker: the suite's own grouping reaches xdist."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def made_once() -> None:
    return None


def test_tests_that_share_a_fixture_are_in_one_group(request: pytest.FixtureRequest, made_once: None) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only one process, or not --dist loadgroup")
    assert request.node.nodeid.endswith("@tests/unit/test_groups.py")


def test_a_test_that_shares_nothing_may_run_anywhere(request: pytest.FixtureRequest) -> None:
    assert "@" not in request.node.nodeid
