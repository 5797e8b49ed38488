"""The command killed after each request that changes something, before it hears the answer: nothing is orphaned, nothing made twice. Custom
jobs, schedules and alert policies have no key that the client chooses; grants have no labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from fakes.google import google
from fakes.google.server import Request
from live.gcp.world import environment_of
from live.killing import command, until_done

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = [pytest.mark.live, pytest.mark.slow]

PIPELINE = {"pipelineSpec": {"schemaVersion": "2.1.0", "root": {}}, "runtimeConfig": {"gcsOutputDirectory": "gs://b/runs"}}
POOL = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": {"imageUri": "python:3.11"}}
RESOURCES = {
    "fit": {"kind": "gcp.vertex_custom_job", "displayName": "fit", "jobSpec": {"workerPoolSpecs": [POOL]}},
    "nightly": {
        "kind": "gcp.vertex_schedule", "displayName": "nightly", "cron": "0 3 * * *", "maxConcurrentRunCount": 1,
        "createPipelineJobRequest": {"parent": "projects/acme-ml/locations/us-central1", "pipelineJob": PIPELINE},
    },
    "slow": {"kind": "gcp.monitoring_alert_policy", "displayName": "slow", "combiner": "OR"},
    "grant": {"kind": "gcp.project_iam_member", "role": "roles/aiplatform.user", "member": "user:ml@acme.example"},
    "runner": {"kind": "gcp.service_account", "properties": {"name": "runner"}},
    "api": {"kind": "gcp.vertex_endpoint", "properties": {"name": "api"}, "displayName": "api"},
    "data": {"kind": "gcp.compute_disk", "properties": {"name": "data"}, "sizeGb": 10},
    "raw": {"kind": "gcp.storage_bucket", "properties": {"name": "acme-raw"}},
}  # fmt: skip


def test_killed_after_every_request_nothing_is_orphaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    with google(tmp_path / "google") as state:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(state.credentials(tmp_path)))
        spec = {"version": 1, "project": "kills", "environments": {"gcp": environment_of(state)}, "resources": RESOURCES}
        (folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec))

        kills = until_done(state, folder, "gcp", "apply", changes, 120)
        assert kills >= 3  # what is under way together is cut off together
        kinds = Counter(name.rpartition("/")[0] for name in state.everything())
        assert set(kinds.values()) == {1} and len(kinds) == len(RESOURCES), "something was made twice, or is missing"
        assert command(folder, "gcp", "plan", "--detailed-exitcode").wait() == 0

        assert command(folder, "gcp", "destroy", "--yes").wait() == 0
        assert state.everything() == []
        assert state.invalid == []


def changes(request: Request) -> bool:
    return request.http != "GET" and not request.method.endswith("getIamPolicy")
