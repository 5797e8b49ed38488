"""What runs on Azure Machine Learning have in common: their attributes, how a job is started, awaited and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map
from mlinfra.provider.failures import Failure, Invalid, NotFound, Quota
from mlinfra.provider.progress import say
from mlinfra.provider.runs.kept_run import PLACE
from mlinfra_azure import marks
from mlinfra_azure.client import AzureClient

VERSION = "2026-05-01"
"""The api-version of jobs."""
PACKAGE = "mlinfra_azure"
PLAIN_TEXT = "Azure Machine Learning keeps this in plain text: let the code read the secret from Key Vault"
ATTRIBUTES: Mapping[str, Attribute] = {
    **PLACE,
    "workspace": Attribute(type="string", required=True, description="the workspace's ARM id"),
    "paths": Attribute(type="string", required=True, description="the container's root by its datastore, azureml:…/paths/"),
    "identity": Attribute(type="string", required=True, description="the ARM id of what it runs as"),
    "compute": Attribute(type="string", required=True, description="the compute cluster's ARM id"),
    "environment": Attribute(type="string", description="the ARM id of the environment's version"),
}
_FAILED = ("Failed", "Canceled", "NotResponding")
_NO_CORES = ("quota", "notenoughcores", "cores")


def job_id(wanted: Mapping[str, Any], token: str) -> str:
    """The job of an operation: named by its token, so that a crash's leftover is found, and never started twice."""
    clean = "".join(c if c.isalnum() else "-" for c in str(wanted["name"]))[:80].strip("-")
    return f"{wanted['workspace']}/jobs/{clean}-{token[:16]}"


async def folders(client: AzureClient, uris: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The folders that are mounted for inputs, and the file in each where the input is one: Azure mounts folders."""
    found: dict[str, str] = {}
    files: dict[str, str] = {}
    for name, uri in uris.items():
        above, _, last = uri.rstrip("/").rpartition("/")
        container, _, path = split_uri(uri)
        if path and path in await client.objects(container, path):
            found[name], files[name] = f"{above}/", last
        else:
            found[name] = f"{uri.rstrip('/')}/"
    return found, files


def split_uri(uri: str) -> tuple[str, str, str]:
    """A blob's container and name. Nothing for a URI that is no blob's."""
    parts = uri.rstrip("/").split("/")
    if not uri.startswith(("https://", "http://")) or len(parts) < 5:
        return "", "", ""
    at = 5 if parts[2].partition(":")[0] in ("127.0.0.1", "localhost") else 4
    return "/".join(parts[:at]), "/", "/".join(parts[at:])


async def start(client: AzureClient, desired: Desired, body: Mapping[str, Any], token: str) -> str:
    """Start the job of this operation, marked as ours; its id."""
    id = job_id(desired.attributes, token)
    tags = {
        **client.config.tags,
        **client.owner(desired.address, token).marks(marks.tag_value),
        "mlinfra-run": str(desired.attributes["name"]),
    }
    await client.put(id, VERSION, {"properties": {**body, "tags": tags}}, what="starting the job")
    return id


async def started(client: AzureClient, wanted: Mapping[str, Any], token: str) -> str | None:
    """The id of the operation's job; None when it started none."""
    id = job_id(wanted, token)
    return id if await client.get(id, VERSION) is not None else None


async def ended(client: AzureClient, id: str) -> None:
    """Wait until the job has ended well. Invalid, or Quota, when it did not."""
    attempt, said = 0, ""
    while True:
        job = await client.get(id, VERSION)
        if job is None:
            raise NotFound(f"the job {id.rpartition('/')[2]} is gone")
        state = str(job["properties"].get("status") or "")
        if state == "Completed":
            return
        if state in _FAILED:
            raise _failure(job, id)
        if state and state != said:
            said = state
            say(f"{job['properties'].get('displayName') or 'the job'} is {_words(state)}")
        await client.pause(attempt)
        attempt += 1


def _words(state: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in state).strip()


def _failure(job: Mapping[str, Any], id: str) -> Failure:
    properties = job["properties"]
    why = str((properties.get("error") or {}).get("message") or properties.get("statusMessage") or "")
    message = f"the job {id.rpartition('/')[2]} {'was cancelled' if properties['status'] == 'Canceled' else 'failed'}"
    if why and any(word in why.lower() for word in _NO_CORES):
        return Quota(
            f"{message}: {why}", hint="ask for more cores of this family in Azure ML's quotas, or use another size or location"
        )
    return Invalid(f"{message}: {why}" if why else message, hint=f"its log: {studio(id)}")


def studio(id: str) -> str:
    """Where a person sees a job."""
    workspace, _, name = id.partition("/jobs/")
    return f"https://ml.azure.com/runs/{name}?wsid={workspace}"


async def remove(client: AzureClient, recorded: ResourceState, kind: str) -> None:
    """Delete the jobs that were started for a run; what others started under the same name stays."""
    known: Map = recorded.attributes
    mine = client.owner(recorded.address, "").marks(marks.tag_value)["mlinfra-project"]
    try:
        query = {"jobType": kind, "tag": f"mlinfra-run={known['name']}"}
        jobs = [job async for job in client.pages(f"{known['workspace']}/jobs", VERSION, query)]
    except NotFound:
        jobs = []
    for job in jobs:
        tags = job["properties"].get("tags") or {}
        if tags.get("mlinfra-project") == mine and tags.get("mlinfra-run") == known["name"]:
            if job["properties"].get("status") not in ("Completed", *_FAILED):
                with suppress(NotFound, Invalid):
                    await client.post(str(job["id"]), "cancel", VERSION)
            await client.delete(str(job["id"]), VERSION)
