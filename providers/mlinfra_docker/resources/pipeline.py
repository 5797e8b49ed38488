"""``docker.pipeline``: steps as containers, and Dagster's own containers where there is a schedule or a web page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import PurePath
from typing import Any

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra.provider.planned import as_planned
from mlinfra.provider.runs import dagster_pipelines
from mlinfra.provider.runs.dagster_pipelines import Result, Wanted, wanted_of
from mlinfra.provider.runs.fingerprints import of_pipeline, predicted_of_pipeline
from mlinfra.provider.runs.given import requirements
from mlinfra.provider.runs.pipelines import Definition, steps_of
from mlinfra.provider.runs.reach import kept
from mlinfra_docker import labels, volumes
from mlinfra_docker import volume_store as store
from mlinfra_docker.client import DockerClient
from mlinfra_docker.pipelines import dagster_containers, results
from mlinfra_docker.pipelines.run import run_all
from mlinfra_docker.pipelines.steps import Place, folder
from mlinfra_docker.resources.job import selected
from mlinfra_docker.runs import environment
from mlinfra_docker.runs.run import logs, recall, secret_key
from mlinfra_docker.volumes import MOUNTED

_MARKER = "pipeline.json"
_INPUTS = "inputs"
_OWN = "own"


def _predict(attributes: Map) -> Mapping[str, Value]:
    predicted: dict[str, Value] = {}
    wanted = wanted_of(attributes)
    if wanted is not None:
        predicted["status"] = "running" if wanted.roles else "ready"
        if not wanted.roles:
            predicted["url"] = None
    if attributes.get("run_on_apply", True) is True and (mark := predicted_of_pipeline(attributes)):
        predicted["fingerprint"] = mark
    return predicted


class Pipeline:
    """A pipeline in its volume: the result of its last complete run, and below ``steps/NAME`` every step's outputs, by content.

    ``status`` is ``running`` (Dagster's containers live), ``ready`` (it needs none), ``stopped`` (one is dead) or ``incomplete``
    (it has not run, or results are gone). A scheduled run changes ``outputs``: the next plan passes them on."""

    schema = Schema(
        attributes={
            "name": Attribute(type="string", required=True, immutable=True, source="the name of its containers and image"),
            "volume": Attribute(type="string", required=True, immutable=True, source="the volume that holds its results"),
            "image": Attribute(type="string", required=True),
            "dagster": Attribute(type="string", description="the image that Dagster is installed on"),
            **dagster_pipelines.ATTRIBUTES,
        },
        predict=_predict,
        runs=True,
        run_inputs=("code", "steps", "requirements", "image", "run_on_apply", "fingerprint"),
        keeps=kept,
        inside=("volume",),
    )

    async def read(self, client: DockerClient, recorded: ResourceState) -> Observed | None:
        return await client.run(_observe, client, recorded.attributes)

    async def create(self, client: DockerClient, desired: Desired, token: str) -> Observed:
        marker = await client.run(_marker, client, desired.attributes)
        if marker.get("address", desired.address) != desired.address:
            raise AlreadyExists(f"there is a pipeline in this volume already: that of {marker['address']}", path=("volume",))
        await client.run(_mark, client, desired, token)
        return await _make_so(client, desired)

    async def update(self, client: DockerClient, recorded: ResourceState, desired: Desired) -> Observed:
        return await _make_so(client, desired)

    async def delete(self, client: DockerClient, recorded: ResourceState) -> None:
        await client.run(_delete, client, recorded)

    async def find(self, client: DockerClient, desired: Desired, token: str) -> Observed | None:
        if (await client.run(_marker, client, desired.attributes)).get("op") != token:
            return None
        return await client.run(_observe, client, desired.attributes)

    def validate(self, attributes: Map) -> list[tuple[Path, str]]:
        """Secrets belong into ``env``: command lines are visible to everybody on the engine's machine."""
        return dagster_pipelines.problems(attributes)

    async def logs(self, client: DockerClient, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        for step in recorded.attributes["steps"]:
            async for line in logs(client, str(recorded.attributes["volume"]), folder(step), follow=follow):
                yield f"{step}: {line}"


def _observe(client: DockerClient, given: Map) -> Observed | None:
    volume = str(given["volume"])
    if not _marker(client, given):
        return None
    result = results.read(client, volume)
    wanted = wanted_of(given) or Wanted(False, False)
    seen = dagster_containers.look(client, str(given["name"]))
    status = "ready"
    if given.get("run_on_apply", True) and not _is_intact(client, volume, result):
        status = "incomplete"
    elif wanted.roles:
        status = "running" if seen.running(wanted) else "stopped"
    computed = dagster_pipelines.computed(given, result, status=status, url=seen.url if wanted.roles else None)
    return Observed(str(given["name"]), freeze({**given, **computed}))


def _is_intact(client: DockerClient, volume: str, result: Result | None) -> bool:
    """Whether everything that the steps gave is still there, untouched."""
    if result is None:
        return False
    ran = {step: record["fingerprint"] for step, record in result.steps.items() if record["fingerprint"]}
    return all(recall(client, volume, folder(step), mark) is not None for step, mark in ran.items())


async def _make_so(client: DockerClient, desired: Desired) -> Observed:
    attributes = desired.attributes
    name, volume = str(attributes["name"]), str(attributes["volume"])
    definition, carried = await client.run(_define, client, attributes)
    code = await client.run(selected, client, attributes["code"])
    own = labels.own(client.project, client.environment, desired.address, definition.fingerprint[:32])
    image = await client.run(environment.build, client, name, definition.image, definition.requirements, own)
    place = Place(definition, address=desired.address, volume=volume, image=image, code=code, secrets=carried)
    result = await client.run(results.read, client, volume)
    stale = result is None or result.fingerprint != definition.fingerprint
    if attributes.get("run_on_apply", True) and (stale or not await client.run(_is_intact, client, volume, result)):
        steps = await run_all(client, place, within=desired.timeout)
        await client.run(results.write, client, volume, definition, "", steps)
    wanted = wanted_of(attributes)
    assert wanted is not None
    await dagster_containers.keep(client, place, wanted, str(attributes.get("dagster") or ""), within=desired.timeout)
    await client.run(lambda: environment.discard(client, name, image))
    observed = await client.run(_observe, client, attributes)
    assert observed is not None
    return observed


def _define(client: DockerClient, attributes: Map) -> tuple[Definition, dict[str, str]]:
    """The definition, with local inputs copied into the volume: whoever runs it later sees nothing of this machine."""
    volume = str(attributes["volume"])
    steps = {}
    for name, step in attributes["steps"].items():
        inputs = {key: _kept_input(client, volume, name, key, given) for key, given in step.get("inputs", EMPTY).items()}
        steps[name] = Map({**step, "inputs": Map(inputs)}) if inputs else step
    definitions, carried = steps_of(Map(steps))
    key = secret_key(client, volume, _OWN) if carried else b""
    definition = Definition(
        name=str(attributes["name"]),
        code=str(attributes["code"]["digest"]),
        fingerprint=of_pipeline(attributes, key),
        steps=definitions,
        image=str(attributes["image"]),
        requirements=requirements(client.base, attributes.get("requirements")),
        schedule=attributes.get("schedule"),
        timezone=attributes.get("timezone", "UTC"),
    )
    return definition, carried


def _kept_input(client: DockerClient, volume: str, step: str, key: str, given: Value) -> Value:
    """A path of this machine becomes the URI of its copy; anything else stays."""
    path = given.get("uri") if isinstance(given, Mapping) else given
    version = given.get("version") if isinstance(given, Mapping) else None
    if not isinstance(path, str) or "://" in path or not version:
        return given
    chosen = as_planned(client.base, path, version, what=f"the input {key} ({path})", at=("steps", step, "inputs", key))
    helper = volumes.helper(client, volume)
    found = store.check(helper, volume, _INPUTS, version)
    if found is None or found.digest != version:
        store.keep_files(helper, volume, _INPUTS, chosen, version, what=f"the input {key} ({path})")
    inside = f"{_INPUTS}/{store.short(version)}"
    single = (client.base / path).is_file()
    return volumes.uri(volume, f"{inside}/{PurePath(path).name}" if single else inside)


def _mark(client: DockerClient, desired: Desired, token: str) -> None:
    volume = str(desired.attributes["volume"])
    content = json.dumps({"op": token, "address": desired.address}).encode()
    try:
        volumes.helper(client, volume).write(f"{MOUNTED}/{volume}/{_MARKER}", content)
    except NotFound as gone:
        raise Invalid(gone.message, path=("volume",), hint="plan again") from gone


def _marker(client: DockerClient, given: Map) -> dict[str, Any]:
    volume = str(given["volume"])
    try:
        found = json.loads(volumes.helper(client, volume).read(f"{MOUNTED}/{volume}/{_MARKER}") or b"{}")
    except (NotFound, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _delete(client: DockerClient, recorded: ResourceState) -> None:
    name, volume = str(recorded.attributes["name"]), str(recorded.attributes["volume"])
    dagster_containers.remove(client, name)
    environment.discard(client, name)
    try:
        helper = volumes.helper(client, volume)
    except NotFound:
        return
    helper.run('cd "$1"; rm -rf steps inputs own tmp dagster result.json; rm -f "$2"', f"{MOUNTED}/{volume}", _MARKER)
