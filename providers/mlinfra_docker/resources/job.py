"""``docker.job``: what one run of the user's training code gave. A run is a function of its fingerprint.

Everything lies in the job's volume: ``job.json`` says which operation and which fingerprint made the resource what it is, the rest
is :mod:`mlinfra_docker.runs`'s.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Secret
from mlinfra.provider import files
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra.provider.planned import as_planned
from mlinfra.provider.runs import given, jobs
from mlinfra.provider.runs.fingerprints import of_job
from mlinfra.provider.runs.jobs import DONE
from mlinfra.provider.runs.words import parameters, text
from mlinfra_docker import labels, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.runs import environment, ray_job
from mlinfra_docker.runs.body import Limits
from mlinfra_docker.runs.promises import unkept
from mlinfra_docker.runs.run import RunRequest, RunResult, logs, recall, run, secret_key
from mlinfra_docker.volumes import MOUNTED

_FOLDER = "run"
_MARKER = "job.json"
_RUN_INPUTS = ("code", "run", "params", "env", "inputs", "outputs", "image", "requirements", "processes", "status")
_SECRET = "a secret here would stand in the process list for all to see: pass it by env"


class Job:
    """``results`` maps each output to the URI of its content, ``artifact`` is that of ``model`` or of the first one.

    ``image`` is what it runs in, with ``requirements`` installed on top; ``limits`` hold ``memory`` (bytes), ``cpus``, ``gpus``;
    ``ray`` names the cluster that it is a job of. ``status``: ``done``; ``failed`` when its first run did; ``lost`` when results
    are gone or were touched; ``deferred`` while ``run_on_apply`` is off and nothing ran yet."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the name of its containers and image"),
            "volume": Attribute(type="string", required=True, immutable=True, source="the volume that holds its results"),
            "image": Attribute(type="string", required=True),
            "limits": Attribute(type="map"),
            "ray": Attribute(type="string"),
            **jobs.ATTRIBUTES,
        },
        predict=jobs.predict,
        runs=True,
        run_inputs=_RUN_INPUTS,
        inside=("volume",),
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        found = jobs.problems(attributes, exposed=("run", "params", "inputs"), why=_SECRET)
        if attributes.get("ray") and isinstance(attributes.get("processes"), int) and attributes["processes"] > 1:
            found.append((("processes",), "on a Ray cluster, Ray starts the processes: leave `processes` out"))
        return found

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        wanted = desired.attributes
        owner = (await client.run(_marker, client, wanted)).get("address", desired.address)
        if owner != desired.address:
            raise AlreadyExists(f"there is a job {wanted['name']} already: that of {owner}", path=("name",))
        try:
            return await self._make(client, desired, token)
        except Failure as failure:
            # Recorded as half-made: its log can be read, and what it left is deleted with it.
            failure.partial = await client.run(_fail, client, desired, token)
            raise

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        marker = await client.run(_marker, client, desired.attributes)
        return await self._make(client, desired, str(marker.get("op", "")))

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        marker = await client.run(_marker, client, desired.attributes)
        if marker.get("op") != token or not marker.get("fingerprint"):
            return None
        known = Map({**desired.attributes, "status": DONE, "fingerprint": marker["fingerprint"]})
        return await client.run(_read, client, str(desired.attributes["name"]), known)

    async def logs(self, client: DockerClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        async for line in logs(client, str(recorded.attributes["volume"]), _FOLDER, follow=follow):
            yield line

    async def _make(self, client: DockerClient, desired: Desired, op: str) -> Observed:
        wanted = desired.attributes
        for path, problem in self.validate(wanted):
            raise Invalid(problem, path=path)
        volume = str(wanted["volume"])
        mark = await client.run(_fingerprint, client, wanted)
        result = await client.run(recall, client, volume, _FOLDER, mark)
        if result is None and wanted.get("run_on_apply", True):
            request = await client.run(_request, client, desired, mark)
            ray = wanted.get("ray")
            result = await (ray_job.run(client, request, str(ray)) if ray else run(client, request))
        if result is not None and result.reused:
            await client.run(_check, client, wanted, result)
        await client.run(_mark, client, desired, op, mark)
        return _observed(wanted, mark, result, DONE if result else "deferred")


def _fingerprint(client: DockerClient, wanted: Map) -> str:
    secret = any(isinstance(v, Secret) for v in wanted.get("env", EMPTY).values())
    key = secret_key(client, str(wanted["volume"]), _FOLDER) if secret else b""
    return of_job(wanted, key, more={"image": wanted["image"]})


def _request(client: DockerClient, desired: Desired, mark: str) -> RunRequest:
    wanted = desired.attributes
    name = str(wanted["name"])
    code = wanted["code"]
    asked = wanted.get("limits", EMPTY)
    image = environment.build(
        client,
        name,
        str(wanted["image"]),
        given.requirements(client.base, wanted.get("requirements")),
        labels.own(client.project, client.environment, desired.address, mark[:32]),
    )
    environment.discard(client, name, image)
    return RunRequest(
        address=desired.address,
        volume=str(wanted["volume"]),
        folder=_FOLDER,
        fingerprint=mark,
        image=image,
        code=selected(client, code),
        command=wanted["run"],
        arguments=parameters(wanted.get("params", EMPTY)),
        inputs={k: given.job_input(client.base, k, v) for k, v in wanted.get("inputs", EMPTY).items()},
        outputs=tuple(wanted.get("outputs", ())),
        environment={k: v if isinstance(v, Secret) else text(v) for k, v in wanted.get("env", EMPTY).items()},
        limits=Limits(int(asked.get("memory") or 0), float(asked.get("cpus") or 0), int(asked.get("gpus") or 0)),
        processes=wanted.get("processes", 1),
        timeout=wanted.get("timeout") or desired.timeout,
        expect=wanted.get("expect", EMPTY),
    )


def selected(client: DockerClient, code: Mapping[str, Any]) -> list[files.SelectedFile]:
    """The files of the code ``{path, digest}``. Invalid when they cannot be read, or are no longer those of the plan."""
    what = f"the code {code['path']!r}"
    return as_planned(client.base, code["path"], code["digest"], what=what, mode="code", excluded=client.excluded, at=("code",))


def _check(client: DockerClient, wanted: Map, result: RunResult) -> None:
    """What is expected may have changed since a result was kept."""
    problems = unkept(client, wanted.get("expect", EMPTY), result.metrics, [o.uri for o in result.outputs.values()])
    if problems:
        raise Invalid("; ".join(problems), path=("expect",))


def _read(client: DockerClient, name: str, known: Map) -> Observed | None:
    if not _marker(client, known):
        return None
    mark = str(known.get("fingerprint", ""))
    result = recall(client, str(known["volume"]), _FOLDER, mark)
    if result is not None:
        return _observed(known, mark, result, DONE)
    waits = known.get("status") in ("deferred", "failed")
    return Observed(name, Map({**known, "id": name, "status": known["status"] if waits else "lost"}))


def _observed(known: Map, mark: str, result: RunResult | None, status: str) -> Observed:
    outputs = result.outputs if result else {}
    uris, digests = {n: o.uri for n, o in outputs.items()}, {n: o.digest for n, o in outputs.items()}
    computed = jobs.computed(known, mark, uris, digests, result.metrics if result else EMPTY, status)
    return Observed(str(known["name"]), Map({**known, **computed}))


def _mark(client: DockerClient, desired: Desired, op: str, fingerprint: str) -> None:
    """``fingerprint`` empty: it failed."""
    volume = str(desired.attributes["volume"])
    content = json.dumps({"op": op, "address": desired.address, "fingerprint": fingerprint}).encode()
    volumes.helper(client, volume).write(f"{MOUNTED}/{volume}/{_MARKER}", content)


def _fail(client: DockerClient, desired: Desired, token: str) -> Observed | None:
    try:
        _mark(client, desired, token, "")
    except Failure:
        return None
    return _observed(desired.attributes, "", None, "failed")


def _marker(client: DockerClient, known: Map) -> dict[str, Any]:
    volume = str(known["volume"])
    try:
        found = json.loads(volumes.helper(client, volume).read(f"{MOUNTED}/{volume}/{_MARKER}") or b"{}")
    except (NotFound, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _delete(client: DockerClient, recorded: ResourceState) -> None:
    environment.discard(client, str(recorded.attributes["name"]))
    volume = str(recorded.attributes["volume"])
    try:
        helper = volumes.helper(client, volume)
    except NotFound:
        return
    helper.run('rm -rf "$1/$2" "$1/tmp" "$1/$3"', f"{MOUNTED}/{volume}", _FOLDER, _MARKER)
