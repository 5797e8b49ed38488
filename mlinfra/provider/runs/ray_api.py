"""Ray's HTTP API, as its dashboard serves it (https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from mlinfra.provider.failures import Failure, Invalid, NotFound, Transient

DASHBOARD = 8265
_PATIENCE = 20.0


def alive_nodes(dashboard: str) -> int:
    """How many nodes Ray counts; 0 while it does not answer. Blocks."""
    try:
        found = _ask(dashboard, "GET", "/api/v0/nodes?limit=1000")
        return sum(str(node["state"]) == "ALIVE" for node in found["data"]["result"]["result"])
    except (Failure, KeyError, TypeError):
        return 0


def submit(dashboard: str, entrypoint: str, submission: str, **more: Any) -> None:
    """Blocks. ``more`` is what the API takes beside (``runtime_env``, ``entrypoint_num_cpus``). Transient when the head does not answer."""
    _ask(dashboard, "POST", "/api/jobs/", {"entrypoint": entrypoint, "submission_id": submission, **more})


def found(dashboard: str, submission: str) -> bool:
    """Whether a job of this submission id was ever submitted. Blocks."""
    try:
        _ask(dashboard, "GET", f"/api/jobs/{submission}")
    except NotFound:
        return False
    return True


def status(dashboard: str, submission: str) -> tuple[str, str]:
    """(status, message): PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED. Blocks."""
    found = _ask(dashboard, "GET", f"/api/jobs/{submission}")
    return str(found["status"]), str(found.get("message") or "")


def log(dashboard: str, submission: str) -> str:
    """All that the job has written so far. Blocks."""
    return str(_ask(dashboard, "GET", f"/api/jobs/{submission}/logs").get("logs") or "")


def stop(dashboard: str, submission: str) -> None:
    """Blocks."""
    _ask(dashboard, "POST", f"/api/jobs/{submission}/stop", {})


def submissions(dashboard: str, prefix: str) -> dict[str, str]:
    """The submission ids that begin so, with their status. Blocks."""
    jobs = [j for j in _ask(dashboard, "GET", "/api/jobs/") if str(j.get("submission_id") or "").startswith(prefix)]
    return {str(j["submission_id"]): str(j["status"]) for j in jobs}


def remove(dashboard: str, submission: str) -> None:
    """Take away what Ray remembers of a job that has ended. Blocks; gone is success."""
    with suppress(NotFound):
        _ask(dashboard, "DELETE", f"/api/jobs/{submission}")


def upload(dashboard: str, name: str, package: bytes) -> str:
    """Give the cluster a working directory (a zip); the URI that a ``runtime_env`` names. Blocks."""
    _ask(dashboard, "PUT", f"/api/packages/gcs/{name}", package)
    return f"gcs://{name}"


def _ask(dashboard: str, method: str, path: str, body: Any = None) -> Any:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    type = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    request = urllib.request.Request(f"{dashboard}{path}", data, {"content-type": type}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:
            return json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        told = error.read().decode(errors="replace").strip()[-500:]
        if error.code == 404:
            raise NotFound(f"Ray has it not: {told}") from error
        raise Invalid(f"Ray refuses it: {told}") from error
    except (OSError, ValueError) as error:
        raise Transient(f"the Ray head does not answer at {dashboard}: {error}") from error
