"""Long-running operations: polled with growing pauses, and no slot held in between.

https://google.aip.dev/151, https://cloud.google.com/compute/docs/api/how-tos/api-requests-responses#handling_api_responses
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from mlinfra.provider.failures import Timeout
from mlinfra.provider.progress import say
from mlinfra_gcp.client import GcpClient
from mlinfra_gcp.documents import document
from mlinfra_gcp.errors import operation_failure

PATIENCE = 3600.0
"""Seconds that an operation may take where the resource's ``lifecycle.timeout`` does not say otherwise."""
_PLACE = re.compile(r"projects/[^/]+/(zones/[^/]+|regions/[^/]+|global)/operations/([^/]+)\Z")


async def finished(
    client: GcpClient, doc: str, operation: Mapping[str, Any], *, what: str, limit: float | None = None
) -> dict[str, Any]:
    """Wait until the operation is done; its ``response`` (Compute Engine has none: ``{}``). What is no operation is its own answer.

    Raises the failure that the operation ended with, or Timeout."""
    if not _is_operation(doc, operation):
        return dict(operation)
    deadline = time.monotonic() + (limit or PATIENCE)
    attempt, said = 0, ""
    while not _done(operation):
        if time.monotonic() > deadline:
            raise Timeout(f"{what} still goes on after {limit or PATIENCE:.0f} s: {operation.get('name')}")
        doing = _progress(operation)
        if doing != said:
            said = doing
            say(f"{what}: {doing}")
        await client.pause(attempt)
        attempt += 1
        operation = await _poll(client, doc, operation)
    error = operation.get("error")
    if error:
        raise operation_failure(error, service=document(doc).service, project=client.project)
    return dict(operation.get("response") or {})


async def pending(client: GcpClient, doc: str, parent: str) -> AsyncIterator[dict[str, Any]]:
    """Operations below ``parent`` that are not done yet: what a crash may have left under way."""
    methods = document(doc).methods
    if doc == "compute.v1":
        project, _, place = parent.removeprefix("projects/").partition("/")
        listed = "zoneOperations.list" if place.startswith("zones/") else "globalOperations.list"
        params = {"project": project, "filter": 'status!="DONE"'}
        if place.startswith("zones/"):
            params["zone"] = place.removeprefix("zones/")
        async for operation in client.pages(doc, listed, params, "items"):
            if not _done(operation):
                yield operation
        return
    below = "projects.locations" + (f".{parent.split('/')[4]}" if parent.count("/") >= 5 else "")
    listed = f"{below}.operations.list"
    if listed in methods:
        async for operation in client.pages(doc, listed, {"name": parent}, "operations"):
            if not _done(operation):
                yield operation


def _is_operation(doc: str, answer: Mapping[str, Any]) -> bool:
    if doc == "compute.v1":
        return str(answer.get("kind", "")) == "compute#operation"
    return "/operations/" in str(answer.get("name", "")) or ("done" in answer and ("response" in answer or "error" in answer))


def _done(operation: Mapping[str, Any]) -> bool:
    return bool(operation.get("done")) or operation.get("status") == "DONE"


def _progress(operation: Mapping[str, Any]) -> str:
    if "progress" in operation:
        return f"{operation['progress']} %"
    state = (operation.get("metadata") or {}).get("state", "")
    return str(state).lower() or "waiting for Google"


async def _poll(client: GcpClient, doc: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    name = str(operation["name"])
    if doc == "compute.v1":
        place = _PLACE.search(str(operation["selfLink"]))
        assert place is not None
        if place[1].startswith("zones/"):
            zone = place[1].removeprefix("zones/")
            return await client.call(doc, "zoneOperations.get", {"project": client.project, "zone": zone, "operation": place[2]})
        return await client.call(doc, "globalOperations.get", {"project": client.project, "operation": place[2]})
    return await client.call(doc, "projects.locations.operations.get", {"name": name})
