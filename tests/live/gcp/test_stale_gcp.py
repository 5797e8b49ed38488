"""Somebody else changes an object between our look at it and our change: Google refuses the stale etag, fingerprint or generation, and the
change is made again upon what stands now, so that neither side's is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fakes.google import Google
from fakes.google.server import Request
from live.gcp.conftest import Stack

from mlinfra.provider import calls

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = pytest.mark.live

ENDPOINT = {"kind": "gcp.vertex_endpoint", "properties": {"name": "api"}, "displayName": "api"}
BUCKET = {"kind": "gcp.storage_bucket", "properties": {"name": "acme-raw"}, "versioning": {"enabled": False}}
DISK = {"kind": "gcp.compute_disk", "properties": {"name": "data"}, "sizeGb": 10, "labels": {"team": "ml"}}
RULE = {
    "kind": "gcp.compute_firewall", "properties": {"name": "web"}, "network": "global/networks/default", "description": "web",
    "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}],
}  # fmt: skip
GRANT = {"kind": "gcp.project_iam_member", "role": "roles/run.invoker", "member": "user:a@acme.example"}


def endpoint(state: Google) -> None:
    (held,) = state.named("aiplatform", "/endpoints/")
    held.update(description="by hand", etag="by-hand")


def bucket(state: Google) -> None:
    held = state.objects["storage"]["acme-raw"]
    held.update(metageneration=str(int(held["metageneration"]) + 1), storageClass="NEARLINE")


def disk(state: Google) -> None:
    (held,) = state.named("compute", "/disks/")
    held["labelFingerprint"] = "by-hand="


def policy(state: Google) -> None:
    state.policy["bindings"].append({"role": "roles/viewer", "members": ["user:b@acme.example"]})
    state.policy["etag"] = "by-hand"


@pytest.mark.parametrize(
    ("before", "after", "looked", "by_hand", "refused"),
    [
        (ENDPOINT, {**ENDPOINT, "displayName": "the api"}, "endpoints.get", endpoint, 409),
        (BUCKET, {**BUCKET, "versioning": {"enabled": True}}, "buckets.get", bucket, 412),
        (DISK, {**DISK, "labels": {"team": "data"}}, "disks.get", disk, 412),
        (None, GRANT, "projects.getIamPolicy", policy, 409),
    ],
    ids=["etag", "metageneration", "fingerprint", "policy"],
)
def test_a_stale_change_is_refused_and_made_again(
    state: Google, stack: Stack, monkeypatch: pytest.MonkeyPatch,
    before: Any, after: Any, looked: str, by_hand: Callable[[Google], None], refused: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(calls, "BASE", 0.001)
    if before is not None:
        stack.write({"thing": before})
        stack.run("apply", "--yes")
    stack.write({"thing": after})
    changed: list[str] = []

    def interfere(request: Request) -> None:
        """After the look that is followed by the change: the first one that comes while apply is at work."""
        if request.method.endswith(looked) and not changed and at_work():
            changed.append(request.method)
            by_hand(state)

    looks = 0

    def at_work() -> bool:
        nonlocal looks
        looks += 1
        return looks > (1 if before is not None else 0)  # the first look at what is recorded is the plan's refresh

    state.after_answer = interfere
    stack.run("apply", "--yes")
    assert changed and [r.status for r in state.requests if r.http != "GET"].count(refused) == 1
    assert state.invalid == []
    stack.run("plan", "--detailed-exitcode")
    if by_hand is policy:
        assert {"role": "roles/viewer", "members": ["user:b@acme.example"]} in state.policy["bindings"]
    stack.run("destroy", "--yes")
