"""What runs on Azure Machine Learning have in common: their attributes, how a job is started, awaited and taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map, Path
from mlinfra.provider.failures import Failure, Invalid, NotFound, Quota
from mlinfra.provider.progress import say
from mlinfra.provider.runs import kept
from mlinfra_azure.client import AzureClient

VERSION = "2026-05-01"
"""The api-version of jobs."""
DEFERRED = "deferred"
PLAIN_TEXT = "Azure Machine Learning keeps this in plain text: let the code read the secret from Key Vault"
ATTRIBUTES: Mapping[str, Attribute] = {
    "name": Attribute(type="string", required=True, immutable=True, source="its results are kept under it"),
    "bucket": Attribute(type="string", required=True, immutable=True, source="the container that holds what it leaves"),
    "workspace": Attribute(type="string", required=True, description="the workspace's ARM id"),
    "paths": Attribute(type="string", required=True, description="the container's root by its datastore, azureml:…/paths/"),
    "identity": Attribute(type="string", required=True, description="the ARM id of what it runs as"),
    "compute": Attribute(type="string", required=True, description="the compute cluster's ARM id"),
    "environment": Attribute(type="string", description="the ARM id of the environment's version"),
    "image": Attribute(type="string", required=True),
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


async def start(client: AzureClient, desired: Desired, body: Mapping[str, Any], token: str) -> None:
    """Start the job of this operation, marked as ours."""
    tags = {**client.config.tags, **client.owner(desired.address, token).tags(), "mlinfra-run": str(desired.attributes["name"])}
    await client.put(job_id(desired.attributes, token), VERSION, {"properties": {**body, "tags": tags}}, what="starting the job")


async def started(client: AzureClient, wanted: Mapping[str, Any], token: str) -> bool:
    return await client.get(job_id(wanted, token), VERSION) is not None


async def outcome(
    client: AzureClient, desired: Desired, token: str, mark: str, steps: Iterable[str], *, at: Path
) -> kept.Outcome:
    """What the job of this operation gave, once it has ended. Invalid at the attribute ``at`` when it failed, with what its step said."""
    wanted = desired.attributes
    place, name, steps = str(wanted["bucket"]), str(wanted["name"]), tuple(steps)
    id = job_id(wanted, token)
    try:
        job = await _ended(client, id)
    except Invalid as failure:
        said = await kept.complaint(client, place, name, mark, steps)
        raise Invalid(said or failure.message, path=at, hint=failure.hint or f"its log: {studio(id)}") from failure
    found = await kept.recall(client, place, name, mark, steps)
    if found is None:
        raise Invalid(
            f"the job {job.get('name') or id.rpartition('/')[2]} ended well, but left no results in {place}",
            hint="was its container emptied meanwhile?",
        )
    return found


async def _ended(client: AzureClient, id: str) -> dict[str, Any]:
    attempt, said = 0, ""
    while True:
        job = await client.get(id, VERSION)
        if job is None:
            raise NotFound(f"the job {id.rpartition('/')[2]} is gone")
        state = str(job["properties"].get("status") or "")
        if state == "Completed":
            return job
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
    """Delete the records of a run, and the jobs that were started for it; what others started under the same name stays."""
    known: Map = recorded.attributes
    mine = client.owner(recorded.address, "").tags()["mlinfra-project"]
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
    with suppress(NotFound):
        await kept.forget(client, str(known["bucket"]), str(known["name"]))
