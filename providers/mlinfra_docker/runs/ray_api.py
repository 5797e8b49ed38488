"""Ray's HTTP API, as its dashboard serves it (https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from mlinfra.provider.failures import Failure, Invalid, Transient

DASHBOARD = 8265
SHARED = "/mlinfra/shared"
"""Where every node has the cluster's volume."""
_PATIENCE = 20.0


def shared_volume(cluster: str) -> str:
    """The volume that all nodes of a cluster see."""
    return f"{cluster}-shared"


def alive_nodes(dashboard: str) -> int:
    """How many nodes Ray counts; 0 while it does not answer. Blocks."""
    try:
        found = _ask(dashboard, "GET", "/api/v0/nodes?limit=1000")
        return sum(str(node["state"]) == "ALIVE" for node in found["data"]["result"]["result"])
    except (Failure, KeyError, TypeError):
        return 0


def submit(dashboard: str, entrypoint: str, submission: str) -> None:
    """Blocks. Transient when the head does not answer."""
    _ask(dashboard, "POST", "/api/jobs/", {"entrypoint": entrypoint, "submission_id": submission})


def status(dashboard: str, submission: str) -> tuple[str, str]:
    """(status, message): PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED. Blocks."""
    found = _ask(dashboard, "GET", f"/api/jobs/{submission}")
    return str(found["status"]), str(found.get("message") or "")


def stop(dashboard: str, submission: str) -> None:
    """Blocks."""
    _ask(dashboard, "POST", f"/api/jobs/{submission}/stop", {})


def _ask(dashboard: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{dashboard}{path}", data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:
            return json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        raise Invalid(f"Ray refuses it: {error.read().decode(errors='replace').strip()[-500:]}") from error
    except (OSError, ValueError) as error:
        raise Transient(f"the Ray head does not answer at {dashboard}: {error}") from error
