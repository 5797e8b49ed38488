"""Google's errors as failures: the reason, the link, and what to do."""

from __future__ import annotations

import pytest

from mlinfra.provider.failures import AlreadyExists, Conflict, Denied, Invalid, NotFound, Quota, Throttled, Transient
from mlinfra_gcp.errors import NoRoom, failure, operation_failure
from mlinfra_gcp.zones import advice


def answer(status: str, message: str, *, reason: str = "", link: str = "", **metadata: str) -> dict[str, object]:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}
    help_ = {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": link}]}
    return {"error": {"status": status, "message": message, "details": [*([info] if reason else []), *([help_] if link else [])]}}


@pytest.mark.parametrize(
    ("http", "body", "kind", "said"),
    [
        (403, answer("PERMISSION_DENIED", "Vertex AI API has not been used in project p before or it is disabled.", reason="SERVICE_DISABLED",
                     service="aiplatform.googleapis.com", link="https://console.x/enable"), Denied,
         ("aiplatform.googleapis.com is not enabled in project p", "gcloud services enable aiplatform.googleapis.com --project p", "https://console.x/enable")),
        (403, answer("PERMISSION_DENIED", "Permission denied on resource.", reason="IAM_PERMISSION_DENIED", permission="aiplatform.endpoints.create"),
         Denied, ("Permission denied", "aiplatform.endpoints.create")),
        (403, answer("PERMISSION_DENIED", "Project 'p' not found or deleted.", reason="CONSUMER_INVALID"), Denied, ("is 'p' the right project?",)),
        (429, answer("RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'custom_model_serving_nvidia_l4_gpus'.", link="https://q"),
         Quota, ("custom_model_serving_nvidia_l4_gpus", "https://q")),
        (429, answer("RESOURCE_EXHAUSTED", "Quota exceeded for 'Read requests per minute'."), Throttled, ("per minute",)),
        (403, {"error": {"message": "slow", "errors": [{"reason": "rateLimitExceeded"}]}}, Throttled, ()),
        (409, {"error": {"message": "The resource 'x' already exists", "errors": [{"reason": "alreadyExists"}]}}, AlreadyExists, ()),
        (409, answer("ABORTED", "etag mismatch"), Conflict, ()),
        (412, {"error": {"message": "fingerprint", "errors": [{"reason": "conditionNotMet"}]}}, Conflict, ()),
        (404, answer("NOT_FOUND", "no"), NotFound, ()),
        (400, answer("INVALID_ARGUMENT", "bad"), Invalid, ()),
        (503, {}, Transient, ()),
    ],
)  # fmt: skip
def test_an_answer_becomes_the_failure_that_it_means(http: int, body: object, kind: type, said: tuple[str, ...]) -> None:
    found = failure(http, body, service="aiplatform", project="p")
    assert type(found) is kind
    for words in said:
        assert words in f"{found.message} {found.hint}"


def test_a_field_violation_names_the_attribute() -> None:
    body = {
        "error": {"status": "INVALID_ARGUMENT", "message": "bad", "details": [{"fieldViolations": [{"field": "display_name.x"}]}]}
    }
    assert failure(400, body, service="aiplatform", project="p").path == ("x",)


def test_compute_engine_without_room_is_told_apart_from_a_quota() -> None:
    full = {"errors": [{"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "The zone does not have enough resources."}]}
    over = {"errors": [{"code": "QUOTA_EXCEEDED", "message": "Quota 'NVIDIA_T4_GPUS' exceeded. Limit: 0.0"}]}
    assert type(operation_failure(full, service="compute", project="p")) is NoRoom
    found = operation_failure(over, service="compute", project="p")
    assert type(found) is Quota and "iam-admin/quotas?project=p" in found.hint


@pytest.mark.parametrize(
    ("asked", "here", "zonal", "said"),
    [
        ("zones/us-central1-a/machineTypes/a2-ultragpu-1g", "us-central1-a", True, "zone: us-central1-c"),
        ("NVIDIA_TESLA_T4", "us-central1-a", True, "zone: us-central1-b"),
        ("a3-highgpu-8g", "us-central1-a", False, "region: us-east4"),
        ("e2-standard-4", "us-central1-a", True, ""),
    ],
)
def test_another_place_with_such_machines_is_offered(asked: str, here: str, zonal: bool, said: str) -> None:
    found = advice(asked, here, zonal=zonal)
    assert said in found and bool(found) == bool(said)
