"""Every shape of a training cluster, applied: each request is held against Google's discovery documents, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.google import Google
from live.gcp.conftest import Stack

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = pytest.mark.live


def cluster(accelerators: str, **more: Any) -> dict[str, Any]:
    resources = {"accelerators": accelerators, **({"spot": True} if more.pop("spot", False) else {})}
    return {"kind": "training_cluster", "resources": resources, **more}


RESOURCES = {
    "jobs": cluster("T4:2", nodes={"min": 0, "max": 2}),
    "standing": cluster("A100:1", nodes=2),
    "ray": cluster("L4:1", engine="ray", nodes=2),
    "cheap": cluster("T4:1", engine="ray", nodes=1, spot=True),
    "slice": cluster("TPU-v5e:8", spot=True),
    "tpu_jobs": cluster("TPU-v6e:8", nodes={"min": 0, "max": 1}),
}


def test_every_cluster_is_made_as_google_takes_it_and_goes_again(state: Google, stack: Stack) -> None:
    stack.write(RESOURCES)
    stack.run("apply", "--yes")
    assert state.invalid == []
    (group,) = [b for b in state.named("compute", "/instanceGroupManagers/") if b["name"].endswith("-ray")]
    assert group["targetSize"] == 2
    (queued,) = state.named("tpu", "/queuedResources/")
    assert queued["state"]["state"] in ("ACCEPTED", "WAITING_FOR_RESOURCES")
    stack.run("plan", "--detailed-exitcode")

    larger = {**RESOURCES, "ray": {**RESOURCES["ray"], "nodes": 4}}
    stack.write(larger)
    assert "0 added, 1 changed, 0 destroyed" in stack.run("apply", "--yes")
    group_now = next(b for b in state.named("compute", "/instanceGroupManagers/") if b["name"].endswith("-ray"))
    assert group_now["targetSize"] == 4

    stack.write(larger, images={"ray": "mirror.example/ray:3"})  # another image: a template beside the old, then the group moves
    stack.run("apply", "--yes")
    methods = [r.method for r in state.requests if r.http != "GET"]
    made, moved = methods.index("compute.instanceTemplates.insert"), methods.index("compute.instanceGroupManagers.patch")
    assert made < moved < methods.index("compute.instanceTemplates.delete")

    stack.run("destroy", "--yes")
    assert state.everything() == [] and state.invalid == []
