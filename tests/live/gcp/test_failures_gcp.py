"""What goes wrong on Google's side, as a person sees it: at the block's line, with Google's reason and link, and the next zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.google import Google, google
from fakes.google.server import Refused
from live.gcp.world import environment_of

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


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    with google(tmp_path / "google") as found:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(found.credentials(tmp_path)))
        yield found


def spec_with(folder: Path, state: Google, block: dict[str, Any], **settings: Any) -> None:
    environment = {"gcp": environment_of(state, **settings)}
    spec = {"version": 1, "project": "fails", "environments": environment, "resources": {"thing": block}}
    (folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


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
    tmp_path: Path, state: Google, run_mlinfra: Callable[..., Any], refusal: Refused, said: tuple[str, ...]
) -> None:
    spec_with(tmp_path, state, ENDPOINT)
    state.refusals[CREATE] = [refusal]
    done = run_mlinfra(["apply", "--yes", "--env", "gcp"], tmp_path)
    assert done.code == 1 and "mlinfra.yaml:" in done.err and "Traceback" not in done.text
    for words in said:
        assert words in done.err, done.text


def test_a_wrong_project_is_told_as_one(tmp_path: Path, state: Google, run_mlinfra: Callable[..., Any]) -> None:
    spec_with(tmp_path, state, ENDPOINT, project="other-project")
    done = run_mlinfra(["apply", "--yes", "--env", "gcp"], tmp_path)
    assert done.code == 1 and "is 'other-project' the right project?" in done.err, done.text


def test_a_zone_without_gpus_offers_the_next_and_that_one_works(
    tmp_path: Path, state: Google, run_mlinfra: Callable[..., Any]
) -> None:
    spec_with(tmp_path, state, VM)
    state.failures["instances.insert"] = [FULL]
    done = run_mlinfra(["apply", "--yes", "--env", "gcp"], tmp_path)
    assert done.code == 1 and "does not have enough resources" in done.err
    assert "providers: {gcp: {zone: us-central1-b}}" in done.err, done.text
    spec_with(tmp_path, state, {**VM, "machineType": "zones/us-central1-b/machineTypes/a2-highgpu-1g"}, zone="us-central1-b")
    again = run_mlinfra(["apply", "--yes", "--env", "gcp"], tmp_path)
    assert again.code == 0 and len(state.everything()) == 1, again.text


def test_an_operation_that_fails_at_last_leaves_nothing(tmp_path: Path, state: Google, run_mlinfra: Callable[..., Any]) -> None:
    spec_with(tmp_path, state, ENDPOINT)
    state.failures[CREATE] = [{"code": 9, "message": "The service agent is missing."}]
    done = run_mlinfra(["apply", "--yes", "--env", "gcp"], tmp_path)
    assert done.code == 1 and "The service agent is missing." in done.err and state.everything() == []
    assert run_mlinfra(["apply", "--yes", "--env", "gcp"], tmp_path).code == 0
    assert state.invalid == []


def test_a_job_that_finds_no_gpus_offers_the_next_region(tmp_path: Path, state: Google, run_mlinfra: Callable[..., Any]) -> None:
    state.runner = lambda _google, _job: ("FAILED", {"code": 8, "message": "Resources are insufficient in region: us-central1."})
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "fit.py").write_text("")
    cluster = {"kind": "training_cluster", "resources": {"accelerators": "T4:1"}, "nodes": {"min": 0, "max": 1}}
    resources = {"gpus": cluster, "fit": {"kind": "training_job", "cluster": "${gpus}", "run": "python fit.py"}}
    spec = {"version": 1, "project": "fails", "environments": {"gcp": environment_of(state)}, "resources": resources}
    (folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    done = run_mlinfra(["apply", "--yes", "--env", "gcp"], folder)
    assert done.code == 1 and "Resources are insufficient in region" in done.err, done.text
    assert "T4 is also offered in" in done.err and "region: us-" in done.err, done.text
