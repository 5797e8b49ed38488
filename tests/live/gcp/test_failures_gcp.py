"""What goes wrong on Google's side, as a person sees it: at the block's line, with Google's reason and link, and the next zone."""

from __future__ import annotations

import pytest
from fakes.google import Google
from fakes.google.server import Refused
from live.gcp.conftest import Stack

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = pytest.mark.live

ENDPOINT = {"kind": "gcp.vertex_endpoint", "properties": {"name": "api"}, "displayName": "api"}
VM = {
    "kind": "gcp.compute_instance", "properties": {"name": "box"}, "machineType": "zones/us-central1-a/machineTypes/a2-highgpu-1g",
    "disks": [{"boot": True, "initializeParams": {"sourceImage": "global/images/x"}}],
    "networkInterfaces": [{"network": "global/networks/default"}],
}  # fmt: skip
CREATE = "projects.locations.endpoints.create"
FULL = {
    "errors": [
        {"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "The zone 'us-central1-a' does not have enough resources available."}
    ]
}


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Refused(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.create' denied.", reason="IAM_PERMISSION_DENIED",
                 metadata={"permission": "aiplatform.endpoints.create"}, link="https://cloud.google.com/iam/docs/x"),
         ("[provider.denied]", "aiplatform.endpoints.create", "https://cloud.google.com/iam/docs/x")),
        (Refused(403, "PERMISSION_DENIED", "Vertex AI API has not been used.", reason="SERVICE_DISABLED",
                 metadata={"service": "aiplatform.googleapis.com"}, link="https://console.developers.google.com/apis/api/aiplatform"),
         ("gcloud services enable aiplatform.googleapis.com --project acme-ml", "https://console.developers.google.com/apis/api/aiplatform")),
        (Refused(429, "RESOURCE_EXHAUSTED", "Quota exceeded: endpoints per project.", link="https://cloud.google.com/quotas"),
         ("[provider.quota]", "Quota exceeded", "https://cloud.google.com/quotas")),
    ],
)  # fmt: skip
def test_a_refusal_is_told_at_its_line_with_googles_reason_and_link(
    state: Google, stack: Stack, refusal: Refused, said: tuple[str, ...]
) -> None:
    stack.write({"thing": ENDPOINT})
    state.refusals[CREATE] = [refusal]
    told = stack.run("apply", "--yes", code=1)
    assert f"mlinfra.yaml:{stack.line_of('thing:')}:" in told
    for words in said:
        assert words in told, told


def test_a_wrong_project_is_told_as_one(stack: Stack) -> None:
    stack.write({"thing": ENDPOINT}, project="other-project")
    assert "is 'other-project' the right project?" in stack.run("apply", "--yes", code=1)


def test_a_zone_without_gpus_offers_the_next_and_that_one_works(state: Google, stack: Stack) -> None:
    stack.write({"thing": VM})
    state.failures["instances.insert"] = [FULL]
    told = stack.run("apply", "--yes", code=1)
    assert "does not have enough resources" in told and "providers: {gcp: {zone: us-central1-b}}" in told, told
    elsewhere = {**VM, "machineType": "zones/us-central1-b/machineTypes/a2-highgpu-1g"}
    stack.write({"thing": elsewhere}, zone="us-central1-b")
    stack.run("apply", "--yes")
    assert len(state.everything()) == 1


def test_an_operation_that_fails_at_last_leaves_nothing(state: Google, stack: Stack) -> None:
    stack.write({"thing": ENDPOINT})
    state.failures[CREATE] = [{"code": 9, "message": "The service agent is missing."}]
    assert "The service agent is missing." in stack.run("apply", "--yes", code=1) and state.everything() == []
    stack.run("apply", "--yes")
    assert state.invalid == []


def test_a_job_that_finds_no_gpus_offers_the_next_region(state: Google, stack: Stack) -> None:
    state.runner = lambda _google, _job: ("FAILED", {"code": 8, "message": "Resources are insufficient in region: us-central1."})
    (stack.folder / "fit.py").write_text("")
    cluster = {"kind": "training_cluster", "resources": {"accelerators": "T4:1"}, "nodes": {"min": 0, "max": 1}}
    stack.write({"gpus": cluster, "fit": {"kind": "training_job", "cluster": "${gpus}", "run": "python fit.py"}})
    told = stack.run("apply", "--yes", code=1)
    assert "Resources are insufficient in region" in told
    assert "T4 is also offered in" in told and "region: us-" in told, told
