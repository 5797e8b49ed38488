"""The command killed after each request that changes something, before it hears the answer: nothing is orphaned, nothing made twice. Custom
jobs, schedules and alert policies have no key that the client chooses; grants have no labels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from fakes.google import Google, google
from fakes.google.server import Request
from live.gcp.world import environment_of

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

        kills = until_done(state, folder, "apply")
        assert kills >= 3  # what is under way together is cut off together
        kinds = Counter(name.rpartition("/")[0] for name in state.everything())
        assert set(kinds.values()) == {1} and len(kinds) == len(RESOURCES), "something was made twice, or is missing"
        assert command(folder, "plan", "--detailed-exitcode").wait() == 0

        assert command(folder, "destroy", "--yes").wait() == 0
        assert state.everything() == []
        assert state.invalid == []


def until_done(state: Google, folder: Path, action: str) -> int:
    """Run the action, killed once it has sent one request that changes something, again and again until nothing is left to send."""
    kills = 0
    while True:
        process = command(folder, action, "--yes")

        def kill(request: Request, victim: subprocess.Popen[bytes] = process) -> None:
            if request.http != "GET" and not request.method.endswith("getIamPolicy"):
                os.kill(victim.pid, signal.SIGKILL)

        state.after_answer = kill
        code = process.wait(timeout=120)
        state.after_answer = lambda _request: None
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, f"ended with {code}"
        kills += 1
        assert kills < 60


def command(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "mlinfra", *words, "--env", "gcp"], cwd=folder, stdout=subprocess.DEVNULL)
