"""``local.job``: what one run of the user's training code gave. A run is a function of its fingerprint.

``runs/NAME/job.json`` says which operation and which fingerprint made the resource what it is; the rest is
:mod:`mlinfra_local.execution`'s.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Secret
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, NotFound
from mlinfra.provider.runs import given, jobs
from mlinfra.provider.runs.expectations import broken
from mlinfra.provider.runs.fingerprints import of_job
from mlinfra.provider.runs.jobs import DONE
from mlinfra.provider.runs.words import parameters, text
from mlinfra_local import execution, ray_head, reservations
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import RunRequest, RunResult
from mlinfra_local.execution import ray_job as ray_submission
from mlinfra_local.execution.scratch import write_atomically

_MARKER = "job.json"
_SECRET = "a secret here would stand in the process list for all to see: pass it by env"
_RUN_INPUTS = ("code", "run", "params", "env", "inputs", "outputs", "requirements", "processes", "status")


class Job:
    """``results`` maps each output to the URI of its content, ``artifact`` is that of ``model`` or of the first one.

    ``status``: ``done``; ``failed`` when its first run did; ``lost`` when results are gone or were touched; ``deferred`` while
    ``run_on_apply`` is off and nothing ran yet."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the folder of its results"),
            "cluster": Attribute(type="string"),
            **jobs.ATTRIBUTES,
        },
        predict=jobs.predict,
        runs=True,
        run_inputs=_RUN_INPUTS,
    )

    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        return jobs.problems(attributes, exposed=("run", "params", "inputs"), why=_SECRET)

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_read, client, recorded.id, recorded.attributes)

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        name = str(desired.attributes["name"])
        owner = _marker(client, name).get("address", desired.address)
        if owner != desired.address:
            raise AlreadyExists(f"there is a job {name} already: that of {owner}", path=("name",))
        try:
            return await self._make(client, desired, token)
        except Failure as failure:
            # Recorded as half-made: its log can be read, and what it left is deleted with it.
            failure.partial = await asyncio.to_thread(_fail, client, desired, token)
            raise

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await self._make(client, desired, _marker(client, recorded.id).get("op", ""))

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(execution.forget, client, recorded.id)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        name = str(desired.attributes["name"])
        await asyncio.to_thread(execution.clean_up, client, name)
        marker = _marker(client, name)
        if marker.get("op") != token or not marker["fingerprint"]:
            return None
        known = Map({**desired.attributes, "id": name, "status": DONE, "fingerprint": marker.get("fingerprint", "")})
        return await asyncio.to_thread(_read, client, name, known)

    def logs(self, client: LocalClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        return execution.logs(client, recorded.id, follow=follow)

    async def _make(self, client: LocalClient, desired: Desired, op: str) -> Observed:
        wanted = desired.attributes
        for path, problem in self.validate(wanted):
            raise Invalid(problem, path=path)
        name = str(wanted["name"])
        mark = await asyncio.to_thread(_fingerprint, client, name, wanted)
        result = await asyncio.to_thread(execution.recall, client, name, mark)
        if result is None and wanted.get("run_on_apply", True):
            result = await execution.run(client, await _request(client, desired, name, mark))
        if result is not None:
            await asyncio.to_thread(_check, client, wanted, result)
        await asyncio.to_thread(_mark, client, desired, op, mark)
        return _observed(name, wanted, mark, result, DONE if result else "deferred")


async def _request(client: LocalClient, desired: Desired, name: str, mark: str) -> RunRequest:
    wanted = desired.attributes
    code = wanted["code"]
    launcher, placed = await asyncio.to_thread(_placement, client, wanted)
    return RunRequest(
        name=name,
        fingerprint=mark,
        workdir=await asyncio.to_thread(execution.pack, client, code["path"], code["digest"], name),
        command=wanted["run"],
        arguments=parameters(wanted.get("params", EMPTY)),
        inputs={k: await asyncio.to_thread(given.job_input, client.base, k, v) for k, v in wanted.get("inputs", EMPTY).items()},
        outputs=tuple(wanted.get("outputs", ())),
        environment={**placed, **{k: v if isinstance(v, Secret) else text(v) for k, v in wanted.get("env", EMPTY).items()}},
        processes=wanted.get("processes", 1),
        timeout=wanted.get("timeout") or desired.timeout,
        requirements=await asyncio.to_thread(given.requirements, client.base, wanted.get("requirements")),
        launcher=launcher,
        accept=lambda outputs, metrics: _accept(wanted, outputs, metrics),
    )


def _placement(client: LocalClient, wanted: Map) -> tuple[tuple[str, ...], dict[str, str]]:
    """What the cluster adds to the run: how it is launched, and what of the host it may see."""
    cluster = wanted.get("cluster")
    if cluster is None:
        return (), {}
    held = reservations.held(client, cluster)
    if held is None:
        raise NotFound(f"nothing is reserved for the cluster {cluster} on this machine", path=("cluster",), hint="apply it first")
    environment = {"CUDA_VISIBLE_DEVICES": ray_head.visible(held)} if held.gpus else {}
    head = ray_head.find(client, cluster)
    if head is None:
        return (), environment
    launcher = (sys.executable, "-P", str(FilePath(ray_submission.__file__)), head.dashboard)
    return launcher, {**environment, "RAY_ADDRESS": head.address}


def _fingerprint(client: LocalClient, name: str, wanted: Map) -> str:
    secret = any(isinstance(v, Secret) for v in wanted.get("env", EMPTY).values())
    return of_job(wanted, execution.secret_key(client, name) if secret else b"")


def _accept(wanted: Map, outputs: Mapping[str, FilePath], metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    problems = broken(wanted.get("expect", EMPTY), metrics, list(outputs.values()))
    if problems:
        raise Invalid("; ".join(problems), path=("expect",), hint="nothing of this run is kept")
    return {}


def _check(client: LocalClient, wanted: Map, result: RunResult) -> None:
    """What is expected may have changed since a result was kept."""
    if result.reused:
        _accept(wanted, {name: client.path_of(o.uri) for name, o in result.outputs.items()}, result.metrics)


def _read(client: LocalClient, name: str, known: Map) -> Observed | None:
    if not _marker(client, name):
        return None
    mark = str(known.get("fingerprint", ""))
    result = execution.recall(client, name, mark)
    if result is not None:
        return _observed(name, known, mark, result, DONE)
    waits = known.get("status") in ("deferred", "failed")
    return Observed(name, Map({**known, "status": known["status"] if waits else "lost"}))


def _observed(name: str, known: Map, mark: str, result: RunResult | None, status: str) -> Observed:
    outputs = result.outputs if result else {}
    uris, digests = {n: o.uri for n, o in outputs.items()}, {n: o.digest for n, o in outputs.items()}
    computed = jobs.computed(known, mark, uris, digests, result.metrics if result else EMPTY, status)
    return Observed(name, Map({**known, **computed}))


def _mark(client: LocalClient, desired: Desired, op: str, fingerprint: str) -> None:
    """``fingerprint`` empty: it failed."""
    file = _file(client, str(desired.attributes["name"]))
    try:
        write_atomically(file, json.dumps({"op": op, "address": desired.address, "fingerprint": fingerprint}))
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from error


def _fail(client: LocalClient, desired: Desired, token: str) -> Observed | None:
    name = str(desired.attributes["name"])
    try:
        _mark(client, desired, token, "")
    except Failure:
        return None
    return _observed(name, desired.attributes, "", None, "failed")


def _file(client: LocalClient, name: str) -> FilePath:
    return client.folder("runs", name) / _MARKER


def _marker(client: LocalClient, name: str) -> dict[str, Any]:
    try:
        found = json.loads(_file(client, name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
