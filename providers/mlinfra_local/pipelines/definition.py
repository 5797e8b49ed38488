"""A pipeline as its Dagster processes read it, made from what is wanted (see :mod:`mlinfra.provider.runs.pipelines`)."""

from __future__ import annotations

from pathlib import Path as FilePath

from mlinfra.model.values import Map
from mlinfra.provider.planned import as_planned
from mlinfra.provider.runs.fingerprints import of_pipeline
from mlinfra.provider.runs.given import requirements
from mlinfra.provider.runs.pipelines import Definition, from_json, steps_of, to_json
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import secret_key
from mlinfra_local.execution.scratch import write_atomically


def define(client: LocalClient, attributes: Map) -> tuple[Definition, dict[str, str]]:
    """The definition of what is wanted, and the variables that carry its secrets.

    Invalid when a secret stands where it would be written or shown, and when a file is no longer what the plan saw."""
    steps, carried = steps_of(attributes["steps"])
    for step in steps:
        for name, version in step.versions.items():
            if "://" not in step.inputs[name]:
                source = step.inputs[name]
                as_planned(client.base, source, version, what=repr(source), at=("steps", step.name, "inputs", name))
    name = str(attributes["name"])
    definition = Definition(
        name=name,
        code=str(attributes["code"]["digest"]),
        base=str(client.base.resolve()),
        fingerprint=of_pipeline(attributes, secret_key(client, own_run(name)) if carried else b""),
        steps=steps,
        requirements=requirements(client.base, attributes.get("requirements", ())),
        schedule=attributes.get("schedule"),
        timezone=attributes.get("timezone", "UTC"),
    )
    return definition, carried


def write(file: FilePath, definition: Definition) -> None:
    """Readers see the old definition or the new one, whole."""
    write_atomically(file, to_json(definition))


def read(file: FilePath) -> Definition:
    """OSError when there is none, ValueError when it is no definition."""
    return from_json(file.read_text())


def own_run(name: str) -> str:
    """The folder below ``runs`` for what belongs to no single step."""
    return f"{name}/.pipeline"
