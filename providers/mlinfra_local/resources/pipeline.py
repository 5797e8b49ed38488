"""``local.pipeline``: steps run through Dagster, and Dagster's own processes where there is a schedule or a web page."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import Map, Value, freeze
from mlinfra.model.values import Path as AttributePath
from mlinfra.provider.failures import Failure, Invalid, Timeout
from mlinfra.provider.progress import say
from mlinfra.provider.runs import dagster_pipelines
from mlinfra.provider.runs.dagster_pipelines import Result, Wanted, wanted_of
from mlinfra.provider.runs.fingerprints import predicted_of_pipeline
from mlinfra.provider.runs.pipelines import FILE, VARIABLE, Definition
from mlinfra.provider.runs.reach import kept
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import clean_up, finish_guarded, forget, logs, pack, start_guarded
from mlinfra_local.execution.scratch import write_atomically
from mlinfra_local.pipelines import definition as definitions
from mlinfra_local.pipelines import results, supervision
from mlinfra_local.pipelines.run_once import MARK, read_outcome
from mlinfra_local.pipelines.steps import is_intact

_AREA = "pipelines"
_OWNER = "operation"


def _predict(attributes: Map) -> Mapping[str, Value]:
    predicted: dict[str, Value] = {}
    wanted = wanted_of(attributes)
    if wanted is not None:
        predicted["status"] = "running" if wanted.roles else "ready"
    if attributes.get("run_on_apply", True) is True and (mark := predicted_of_pipeline(attributes)):
        predicted["fingerprint"] = mark
    return predicted


class Pipeline:
    """A pipeline below ``pipelines/NAME``: its definition, Dagster's home, the result of the last complete run. The steps'
    outputs are below ``runs/NAME/STEP``, by content.

    ``status`` is ``running`` (its processes live), ``ready`` (it needs none), ``stopped`` (one is dead) or ``incomplete``
    (it has not run, or results are gone). A scheduled run changes ``outputs``: the next plan passes them on."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the folder's name"),
            **dagster_pipelines.ATTRIBUTES,
            "requirements": Attribute(type="list"),
        },
        predict=_predict,
        runs=True,
        run_inputs=("code", "steps", "requirements", "run_on_apply", "fingerprint"),
        keeps=kept,
    )

    async def read(self, client: LocalClient, recorded: ResourceState) -> Observed | None:
        return await asyncio.to_thread(_observe, client, recorded.id, recorded.attributes)

    async def create(self, client: LocalClient, desired: Desired, token: str) -> Observed:
        folder = client.folder(_AREA, str(desired.attributes["name"]))
        await asyncio.to_thread(write_atomically, folder / _OWNER, token)
        return await _make_so(client, desired)

    async def update(self, client: LocalClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await _make_so(client, desired, recorded.attributes.get("url"))

    async def delete(self, client: LocalClient, recorded: ResourceState) -> None:
        await asyncio.to_thread(_delete, client, recorded.id)

    async def find(self, client: LocalClient, desired: Desired, token: str) -> Observed | None:
        name = str(desired.attributes["name"])
        owner = client.folder(_AREA, name) / _OWNER
        if not owner.is_file() or owner.read_text() != token:
            return None
        return await asyncio.to_thread(_observe, client, name, desired.attributes)

    async def adopt(self, client: LocalClient, id: str) -> Observed | None:
        return await asyncio.to_thread(_observe, client, id, Map(name=id))

    def validate(self, attributes: Map) -> list[tuple[AttributePath, str]]:
        """Secrets belong into ``env``: command lines are visible to everybody on the machine."""
        return dagster_pipelines.problems(attributes)

    async def logs(self, client: LocalClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        async for line in logs(client, definitions.own_run(recorded.id), follow=follow):
            yield line


def _observe(client: LocalClient, name: str, given: Map) -> Observed | None:
    folder = client.folder(_AREA, name)
    if not folder.is_dir():
        return None
    result = results.read(folder)
    wanted = wanted_of(given) or Wanted(False, False)
    status = "ready"
    if given.get("run_on_apply", True) and not _is_intact(client, name, result):
        status = "incomplete"
    elif wanted.roles:
        status = "running" if supervision.is_running(folder, wanted) else "stopped"
    computed = dagster_pipelines.computed(given, result, status=status, url=supervision.url(folder))
    return Observed(name, freeze({**given, "name": name, **computed}))


def _is_intact(client: LocalClient, name: str, result: Result | None) -> bool:
    return result is not None and all(is_intact(client, name, step, record) for step, record in result.steps.items())


async def _make_so(client: LocalClient, desired: Desired, url: Any = None) -> Observed:
    attributes = desired.attributes
    name = str(attributes["name"])
    folder = client.folder(_AREA, name)
    definition, carried = await asyncio.to_thread(definitions.define, client, attributes)
    await asyncio.to_thread(pack, client, str(attributes["code"]["path"]), definition.code, name)
    result = await asyncio.to_thread(results.read, folder)
    stale = result is None or result.fingerprint != definition.fingerprint
    if attributes.get("run_on_apply", True) and (stale or not await asyncio.to_thread(_is_intact, client, name, result)):
        await _run(client, definition, carried, desired)
    definitions.write(folder / FILE, definition)
    wanted = wanted_of(attributes)
    assert wanted is not None
    if wanted.roles:
        _require("dagster_webserver")
    port = urlsplit(url).port or 0 if isinstance(url, str) else 0
    await asyncio.to_thread(supervision.keep_running, folder, wanted, carried, port)
    observed = await asyncio.to_thread(_observe, client, name, attributes)
    assert observed is not None
    return observed


async def _run(client: LocalClient, definition: Definition, carried: Mapping[str, str], desired: Desired) -> None:
    """One run in a process of its own, which dies with this one. The definition in force changes only when it succeeds."""
    _require("dagster")
    folder = client.folder(_AREA, definition.name)
    trial = folder / f"trial-{secrets.token_hex(4)}.json"
    outcome = trial.with_suffix(".outcome")
    environment = await asyncio.to_thread(supervision.environment, folder, carried)
    command = (sys.executable, "-m", "mlinfra_local.pipelines.run_once", str(outcome))
    for step in definition.steps:
        await asyncio.to_thread(clean_up, client, f"{definition.name}/{step.name}")
    log_file = client.folder("runs", definitions.own_run(definition.name)) / "logs" / "run.txt"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    definitions.write(trial, definition)
    try:
        with log_file.open("w", buffering=1) as log:

            def heard(line: str) -> None:
                said = line.removeprefix(MARK)
                log.write(said + "\n")
                if said != line:
                    say(said)

            try:
                async with asyncio.timeout(desired.timeout):
                    process = await start_guarded(
                        command, folder=folder, environment={**os.environ, **environment, VARIABLE: str(trial)}
                    )
                    await finish_guarded(process, heard)
            except TimeoutError:
                raise Timeout(f"the pipeline was stopped after {desired.timeout:g} seconds") from None
        ended = read_outcome(outcome)
        if ended is None:
            raise Failure(f"the run ended without a word:\n{_tail(log_file)}", hint=f"its log is in {log_file}")
        if ended.message:
            kind = Timeout if ended.timed_out else Invalid
            place = f"step {ended.step}: " if ended.step else ""
            path = ended.path or (("steps", ended.step) if ended.step else ())
            raise kind(place + ended.message, path=path, hint=ended.hint)
    finally:
        for file in (trial, outcome):
            file.unlink(missing_ok=True)


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise Invalid(f"{package.replace('_', '-')} is not installed", hint="install it with: pip install 'mlinfra-iac[local]'")


def _delete(client: LocalClient, name: str) -> None:
    folder = client.folder(_AREA, name)
    supervision.stop(folder)
    forget(client, name)
    client.discard(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-20:])
    return ""
