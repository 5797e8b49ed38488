"""``plan --server-check`` against Google: ``validateOnly`` where a method takes it, else the name, the API and the permission."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.google import Google, google
from fakes.google.server import PROJECT, Refused
from live.gcp.world import environment_of

from mlinfra.cli.app import run

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = pytest.mark.live

SERVICE = {"kind": "gcp.run_service", "properties": {"name": "hello"}, "template": {"containers": [{"image": "gcr.io/hello"}]}}
DISK = {"kind": "gcp.compute_disk", "properties": {"name": "data"}, "sizeGb": 10}
POLICY = {"kind": "gcp.project_iam_member", "role": "roles/run.invoker", "member": "user:a@acme.example"}
CREATE = "projects.locations.services.create"
Plan = Callable[..., tuple[int, str]]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    with google(tmp_path / "google") as found:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(found.credentials(tmp_path)))
        yield found


@pytest.fixture
def plan(tmp_path: Path, state: Google, capsys: pytest.CaptureFixture[str]) -> Plan:
    """Exit code and words of ``plan --server-check`` (or another command) for these resources."""
    folder = tmp_path / "stack"
    folder.mkdir()

    def act(*command: str, **resources: Any) -> tuple[int, str]:
        spec = {"version": 1, "project": "checks", "environments": {"gcp": environment_of(state)}, "resources": resources}
        (folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        state.requests.clear()
        code = run([*(command or ("plan", "--server-check")), "--env", "gcp", "-C", str(folder), "--no-color"])
        said = capsys.readouterr()
        return code, said.out + said.err

    return act


def test_what_google_takes_is_accepted_and_nothing_is_made(state: Google, plan: Plan) -> None:
    code, said = plan(api=SERVICE, disk=DISK, grant=POLICY)
    assert code == 0 and "server check: 2 of 3 changes looked at and accepted" in said
    assert "could not look at grant (gcp.project_iam_member)" in " ".join(said.split())
    (create,) = [r for r in state.requests if r.method == f"run.{CREATE}"]
    assert create.query["validateOnly"] == "true" and create.status == 200
    assert [r.method for r in state.requests].count("cloudresourcemanager.projects.testIamPermissions") == 1
    assert state.everything() == [] and state.operations == {} and state.invalid == []


def test_without_the_flag_nobody_is_asked(state: Google, plan: Plan) -> None:
    assert plan("plan", api=SERVICE)[0] == 0 and state.requests == []


def test_what_google_would_refuse_is_an_error_at_its_line(state: Google, plan: Plan) -> None:
    state.refusals[CREATE] = [
        Refused(400, "INVALID_ARGUMENT", "the image does not exist", field="service.template.containers[0].image")
    ]
    code, said = plan(api=SERVICE)
    assert code == 1 and "error[provider.invalid]" in said and "the image does not exist" in said
    assert "template.containers[0].image" in said
    line = next(
        i for i, text in enumerate((state.folder.parent / "stack/mlinfra.yaml").read_text().splitlines(), 1) if "image:" in text
    )
    assert f"mlinfra.yaml:{line}:" in said, said


def test_a_missing_permission_is_told_for_every_change_that_needs_it(state: Google, plan: Plan) -> None:
    state.lacking = {"compute.disks.create"}
    code, said = plan(one=DISK, two={**DISK, "properties": {"name": "other"}}, api=SERVICE)
    assert code == 1 and said.count(f"lack the permission compute.disks.create in project {PROJECT}") == 2
    assert "api would be refused" not in said


def test_a_name_that_somebody_else_has_is_told_with_the_way_to_adopt_it(state: Google, plan: Plan) -> None:
    state.objects["run"][f"projects/{PROJECT}/locations/us-central1/services/hello"] = {"name": "hello"}
    code, said = plan(api=SERVICE)
    assert code == 1 and "exists already and is not ours" in said
    assert f"mlinfra import api projects/{PROJECT}/locations/us-central1/services/hello" in " ".join(said.split())


def test_an_api_that_is_not_enabled_is_told_before_anything_is_made(state: Google, plan: Plan) -> None:
    disabled = Refused(403, "PERMISSION_DENIED", "Compute Engine API has not been used.", reason="SERVICE_DISABLED",
                       metadata={"service": "compute.googleapis.com"})  # fmt: skip
    state.refusals["disks.get"] = [disabled]
    code, said = plan(disk=DISK)
    assert code == 1 and "gcloud services enable compute.googleapis.com" in said


def test_an_update_is_validated_against_what_stands(state: Google, plan: Plan) -> None:
    assert plan("apply", "--yes", api=SERVICE)[0] == 0
    before = str(state.objects["run"])
    changed = {**SERVICE, "template": {"containers": [{"image": "gcr.io/hello:2"}]}}
    code, said = plan(api=changed)
    assert code == 0 and "1 of 1 changes looked at and accepted" in said
    (patch,) = [r for r in state.requests if r.http == "PATCH"]
    assert patch.query["validateOnly"] == "true" and patch.query["updateMask"] == "template"
    assert str(state.objects["run"]) == before and state.invalid == []


def test_where_permissions_cannot_be_asked_for_the_rest_is(state: Google, plan: Plan) -> None:
    state.refusals["projects.testIamPermissions"] = [Refused(403, "PERMISSION_DENIED", "not enabled", reason="SERVICE_DISABLED")]
    code, said = plan(api=SERVICE)
    assert code == 0 and "1 of 1 changes looked at and accepted" in said


def test_a_destroy_has_nothing_to_ask(plan: Plan) -> None:
    code, said = plan("plan", "--server-check", "--destroy", api=SERVICE)
    assert code != 0 and "--server-check looks at what is made and changed" in said
