"""What a wide apply costs a remote store: requests and bytes, counted on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes.lab import Lab, thing
from live.servers.cutting_proxy import cutting_proxy

from mlinfra.state.store import close_store
from mlinfra.state.stores.http import PACE

pytestmark = [pytest.mark.live, pytest.mark.slow]

OBJECTS = 1000


@pytest.mark.parametrize("name", ["s3", "gcs", "azure", "http"])
def test_a_thousand_objects_cost_a_request_per_ten_and_two_megabytes_at_most(place_of: Any, tmp_path: Path, name: str) -> None:
    place = place_of(name)
    wanted = [thing(f"thing_{i}", value=i, tags=["team", "cost-centre-4711"]) for i in range(OBJECTS)]
    with cutting_proxy(place.upstream) as proxy:
        store = place.through(proxy.address).open()
        if name == "http":
            store._pacer._pace = PACE  # as it is outside the tests
        lab = Lab(tmp_path, store=store)
        lab.cloud.delay = 0.1
        made = lab.plan(*wanted)
        proxy.requests.clear()
        proxy.sent = 0
        outcome = lab.apply(made)
        requests, sent = sum(proxy.requests.values()), proxy.sent
        assert outcome.summary.added == OBJECTS and len(lab.state.resources) == OBJECTS
        close_store(store)
    print(f"{name}: {requests} requests ({dict(proxy.requests)}), {sent / 1e6:.2f} MB, {outcome.summary.elapsed:.1f} s")
    assert requests <= OBJECTS / 10
    assert sent <= 2_000_000


class Counted:
    """A store whose calls and bytes are counted, for one that no proxy can look into. Each call of PostgreSQL's is one statement."""

    remote = True

    def __init__(self, store: Any) -> None:
        self._store = store
        self.requests = self.sent = 0

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._store, name)

        def call(*arguments: Any) -> Any:
            self.requests += 1
            self.sent += sum(len(a) for a in arguments if isinstance(a, bytes))
            return inner(*arguments)

        return call


def test_postgresql_is_asked_as_seldom(place_of: Any, tmp_path: Path) -> None:
    store = Counted(place_of("postgres").open())
    lab = Lab(tmp_path, store=store)  # type: ignore[arg-type]
    lab.cloud.delay = 0.1
    made = lab.plan(*[thing(f"thing_{i}", value=i, tags=["team", "cost-centre-4711"]) for i in range(OBJECTS)])
    store.requests = store.sent = 0
    outcome = lab.apply(made)
    requests, sent = store.requests, store.sent
    assert outcome.summary.added == OBJECTS and len(lab.state.resources) == OBJECTS
    close_store(store)
    print(f"postgres: {requests} requests, {sent / 1e6:.2f} MB, {outcome.summary.elapsed:.1f} s")
    assert requests <= OBJECTS / 10 and sent <= 2_000_000


def test_a_chain_does_not_wait_for_company(place_of: Any, tmp_path: Path) -> None:
    """What has nothing beside it is written at once: every operation of a chain costs its two writes and no pause."""
    place = place_of("s3")
    store = place.open()
    lab = Lab(tmp_path, store=store)
    outcome = lab.run(*[thing(f"t{i}", depends_on=(f"t{i - 1}",) if i else ()) for i in range(20)])
    close_store(store)
    assert outcome.summary.added == 20
    assert outcome.summary.elapsed < 20, "a pause for company (2 s) before each of 40 writes would take 80 s"
