"""``plan --server-check`` against Google: ``validateOnly`` where a method takes it, else the name, the API and the permission."""

from __future__ import annotations

import pytest
from fakes.google import Google
from fakes.google.server import PROJECT, Refused
from live.gcp.conftest import Stack

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = pytest.mark.live

SERVICE = {"kind": "gcp.run_service", "properties": {"name": "hello"}, "template": {"containers": [{"image": "gcr.io/hello"}]}}
DISK = {"kind": "gcp.compute_disk", "properties": {"name": "data"}, "sizeGb": 10}
GRANT = {"kind": "gcp.project_iam_member", "role": "roles/run.invoker", "member": "user:a@acme.example"}
CREATE = "projects.locations.services.create"
CHECK = ("plan", "--server-check")
ID = f"projects/{PROJECT}/locations/us-central1/services/hello"


def test_what_google_takes_is_accepted_and_nothing_is_made(state: Google, stack: Stack) -> None:
    stack.write({"api": SERVICE, "disk": DISK, "grant": GRANT})
    said = stack.run(*CHECK)
    assert "server check: 2 of 3 changes looked at and accepted" in said
    assert "could not look at grant (gcp.project_iam_member)" in said
    (create,) = [r for r in state.requests if r.method == f"run.{CREATE}"]
    assert create.query["validateOnly"] == "true" and create.status == 200
    assert [r.method for r in state.requests].count("cloudresourcemanager.projects.testIamPermissions") == 1
    assert state.everything() == [] and state.operations == {} and state.invalid == []


def test_without_the_flag_nobody_is_asked(state: Google, stack: Stack) -> None:
    stack.write({"api": SERVICE})
    stack.run("plan")
    assert state.requests == []


def test_what_google_would_refuse_is_an_error_at_its_line(state: Google, stack: Stack) -> None:
    field = "service.template.containers[0].image"
    state.refusals[CREATE] = [Refused(400, "INVALID_ARGUMENT", "the image does not exist", field=field)]
    stack.write({"api": SERVICE})
    said = stack.run(*CHECK, code=1)
    assert "api would be refused: template.containers[0].image: run: the image does not exist [provider.invalid]" in said
    assert f"mlinfra.yaml:{stack.line_of('image:')}:" in said


def test_a_missing_permission_is_told_for_every_change_that_needs_it(state: Google, stack: Stack) -> None:
    state.lacking = {"compute.disks.create"}
    stack.write({"one": DISK, "two": {**DISK, "properties": {"name": "other"}}, "api": SERVICE})
    said = stack.run(*CHECK, code=1)
    assert said.count(f"lack the permission compute.disks.create in project {PROJECT}") == 2
    assert "api would be refused" not in said


def test_a_name_that_somebody_else_has_is_told_with_the_way_to_adopt_it(state: Google, stack: Stack) -> None:
    state.objects["run"][ID] = {"name": ID}
    stack.write({"api": SERVICE})
    said = stack.run(*CHECK, code=1)
    assert "exists already and is not ours" in said and f"mlinfra import api {ID}" in said


def test_an_api_that_is_not_enabled_is_told_before_anything_is_made(state: Google, stack: Stack) -> None:
    about = {"service": "compute.googleapis.com"}
    state.refusals["disks.get"] = [Refused(403, "PERMISSION_DENIED", "not used", reason="SERVICE_DISABLED", metadata=about)]
    stack.write({"disk": DISK})
    assert "gcloud services enable compute.googleapis.com" in stack.run(*CHECK, code=1)


def test_an_update_is_validated_against_what_stands(state: Google, stack: Stack) -> None:
    stack.write({"api": SERVICE})
    stack.run("apply", "--yes")
    before = str(state.objects["run"])
    stack.write({"api": {**SERVICE, "template": {"containers": [{"image": "gcr.io/hello:2"}]}}})
    assert "1 of 1 changes looked at and accepted" in stack.run(*CHECK)
    (patch,) = [r for r in state.requests if r.http == "PATCH"]
    assert patch.query["validateOnly"] == "true" and patch.query["updateMask"] == "template"
    assert str(state.objects["run"]) == before and state.invalid == []


def test_a_replacement_of_the_same_name_is_not_told_that_the_name_is_taken(state: Google, stack: Stack) -> None:
    stack.write({"disk": DISK})
    stack.run("apply", "--yes")
    stack.write({"disk": {**DISK, "type": "zones/us-central1-a/diskTypes/pd-ssd"}})
    said = stack.run(*CHECK)
    assert "must be replaced" in said and "1 of 1 changes looked at and accepted" in said


def test_where_permissions_cannot_be_asked_for_the_rest_is(state: Google, stack: Stack) -> None:
    state.refusals["projects.testIamPermissions"] = [Refused(403, "PERMISSION_DENIED", "not enabled", reason="SERVICE_DISABLED")]
    stack.write({"api": SERVICE})
    assert "1 of 1 changes looked at and accepted" in stack.run(*CHECK)


def test_a_destroy_has_nothing_to_ask(stack: Stack) -> None:
    stack.write({"api": SERVICE})
    assert "--server-check looks at what is made and changed" in stack.run(*CHECK, "--destroy", code=1)
