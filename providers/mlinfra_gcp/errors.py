"""Google's errors as failures, each with Google's own reason and link.

https://cloud.google.com/apis/design/errors, https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-vm-creation
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.model.values import Path
from mlinfra.provider.failures import (
    AlreadyExists,
    Conflict,
    Denied,
    Failure,
    Invalid,
    NotFound,
    Quota,
    Throttled,
    Timeout,
    Transient,
)

_SLOW_DOWN = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED", "rateLimitExceededUnreg"}
_NO_ROOM = {"ZONE_RESOURCE_POOL_EXHAUSTED", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "RESOURCE_POOL_EXHAUSTED", "STOCKOUT"}
_BUSY = {
    "RESOURCE_NOT_READY", "resourceNotReady", "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "resourceInUseByAnotherResource", "conditionNotMet",
}  # fmt: skip
_CODES = {
    1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 13: "INTERNAL", 14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}  # fmt: skip
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
           412: "ABORTED", 429: "RESOURCE_EXHAUSTED", 408: "UNAVAILABLE"}  # fmt: skip


_WRAPPERS = {"service", "endpoint", "model", "schedule", "job", "secret", "repository", "instance", "resource"}


class NoRoom(Quota):
    """The zone has no such machines at the moment: another zone may have."""


def failure(status: int, body: Any, *, service: str, project: str, retry_after: float | None = None) -> Failure:
    """The failure for an HTTP answer of ``status`` and its JSON ``body``."""
    error = body.get("error", {}) if isinstance(body, Mapping) else {}
    if not isinstance(error, Mapping):
        error = {"message": str(error)}
    reasons = _reasons(error)
    message = str(error.get("message") or f"HTTP {status}").strip()
    name = str(error.get("status") or ("UNAVAILABLE" if status >= 500 else _STATUS.get(status, "")))
    already = status == 409 and (reasons & {"conflict", "alreadyExists", "duplicate"} or "already exist" in message.lower())
    if already:
        name = "ALREADY_EXISTS"
    return _made(name, message, reasons, error.get("details") or (), service, project, retry_after)


def operation_failure(error: Mapping[str, Any], *, service: str, project: str) -> Failure:
    """The failure for the ``error`` of a long-running operation: a Status, or Compute Engine's list of errors."""
    if "errors" in error:
        first = error["errors"][0] if error["errors"] else {}
        code = str(first.get("code", ""))
        said = [_detail(d) for d in first.get("errorDetails", ())]
        return _made(code, str(first.get("message", code)), {code}, said, service, project, None)
    name = _CODES.get(error.get("code", 2), "UNKNOWN")
    details = error.get("details") or ()
    return _made(name, str(error.get("message", name)), _reasons({"details": details}), details, service, project, None)


def _detail(given: Mapping[str, Any]) -> dict[str, Any]:
    """Compute Engine's form of a detail in the form of all others."""
    if "errorInfo" in given:
        return {"@type": "ErrorInfo", **given["errorInfo"]}
    return {"@type": "Help", **given["help"]} if "help" in given else {}


def _made(
    name: str,
    message: str,
    reasons: set[str],
    details: Sequence[Mapping[str, Any]],
    service: str,
    project: str,
    retry_after: float | None,
) -> Failure:
    info = next((d for d in details if "ErrorInfo" in str(d.get("@type", ""))), {})
    about: Mapping[str, Any] = info.get("metadata", info.get("metadatas", {})) or {}
    link = _link(details)
    see = f"; see {link}" if link else ""
    said = f"{service}: {message}"
    if reasons & _SLOW_DOWN or (name == "RESOURCE_EXHAUSTED" and "per minute" in message):
        return Throttled(said, after=retry_after)
    if reasons & _NO_ROOM or name in _NO_ROOM:
        return NoRoom(said, hint=f"the zone has no capacity at the moment{see}")
    if "SERVICE_DISABLED" in reasons or "accessNotConfigured" in reasons:
        api = about.get("service") or f"{service}.googleapis.com"
        return Denied(
            f"the API {api} is not enabled in project {project}", hint=f"gcloud services enable {api} --project {project}{see}"
        )
    if reasons & {"CONSUMER_INVALID", "USER_PROJECT_DENIED", "RESOURCE_PROJECT_INVALID", "projectNotFound"}:
        return Denied(
            f"{said} (project {project})", hint=f"is {project!r} the right project? set providers: {{gcp: {{project: …}}}}{see}"
        )
    if reasons & {"BILLING_DISABLED", "accountDisabled"}:
        return Denied(said, hint=f"link a billing account to project {project}{see}")
    if reasons & {"QUOTA_EXCEEDED", "quotaExceeded", "limitExceeded"} or name == "RESOURCE_EXHAUSTED":
        limit = (
            f" ({about['quota_metric']}: {about.get('quota_limit_value', about.get('quota_limit', ''))})"
            if "quota_metric" in about
            else ""
        )
        ask = link or f"https://console.cloud.google.com/iam-admin/quotas?project={project}"
        return Quota(said + limit, hint=f"ask for more, or free some: {ask}")
    if reasons & _BUSY or name in ("ABORTED", *_BUSY):
        return Conflict(said)
    if name == "FAILED_PRECONDITION" and ("concurrent" in message.lower() or "try again" in message.lower()):
        return Conflict(said)
    if name == "NOT_FOUND" or reasons & {"notFound", "RESOURCE_NOT_FOUND"}:
        return NotFound(said)
    if name in ("ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS"):
        return AlreadyExists(said)
    if name == "UNAUTHENTICATED":
        return Denied(said, hint="gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS")
    if name == "PERMISSION_DENIED" or reasons & {"forbidden", "PERMISSIONS_ERROR"}:
        permission = about.get("permission", "")
        hint = f"ask for the permission {permission} in project {project}" if permission else f"ask for it in project {project}"
        return Denied(said, hint=hint + see)
    if name in ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "INTERNAL_ERROR"):
        return Transient(said)
    if name == "DEADLINE_EXCEEDED":
        return Timeout(said)
    return Invalid(said, path=_place(details), hint=f"see {link}" if link else "")


def _reasons(error: Mapping[str, Any]) -> set[str]:
    found = {str(e.get("reason", "")) for e in error.get("errors") or () if isinstance(e, Mapping)}
    found |= {str(d.get("reason", "")) for d in error.get("details") or () if isinstance(d, Mapping)}
    return found - {""}


def _link(details: Sequence[Mapping[str, Any]]) -> str:
    for detail in details:
        for link in detail.get("links") or ():
            if link.get("url"):
                return str(link["url"])
    return ""


def _place(details: Sequence[Mapping[str, Any]]) -> Path:
    for detail in details:
        for violation in detail.get("fieldViolations") or ():
            steps = [
                int(s) if s.isdigit() else s for s in re.split(r"[.\[\]]+", str(violation.get("field", "")).rstrip("]")) if s
            ]
            if steps:
                return tuple(steps[1:] if len(steps) > 1 and _wraps(steps[0]) else steps)
    return ()


def _wraps(step: str | int) -> bool:
    """Whether this is the request's field that holds the resource (``custom_job.display_name``), no property of it."""
    return step in _WRAPPERS or (isinstance(step, str) and step.islower() and "_" in step)
