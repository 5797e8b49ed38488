"""A pipeline as its Dagster processes read it: one JSON file, without a single secret.

Secrets travel in the processes' environment alone: the file holds the name of the variable that each comes by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.values import EMPTY, Map, Path, Secret, Value, is_known, leaves, thaw
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import fingerprint, secret_key
from mlinfra_local.execution.scratch import write_atomically

FILE = "definition.json"
VARIABLE = "MLINFRA_PIPELINE"
"""The environment variable that names the definition's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """``takes`` maps an input to the (step, output) it comes from, ``inputs`` to a URI or path, ``versions`` to that one's
    digest where the URI does not name its content; ``secrets`` maps a variable of the step to the one it is carried by."""

    name: str
    command: str | None = None
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    takes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    retries: int = 0

    @property
    def upstream(self) -> tuple[str, ...]:
        """Every step that must be done before."""
        return tuple(dict.fromkeys((*self.needs, *(step for step, _ in self.takes.values()))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """``code`` is the digest of the code pack, ``base`` the spec's folder (absolute), ``fingerprint`` that of the whole."""

    name: str
    code: str
    base: str
    fingerprint: str
    steps: tuple[StepDefinition, ...]
    requirements: tuple[str, ...] = ()
    schedule: str | None = None
    timezone: str = "UTC"


def define(client: LocalClient, attributes: Map) -> tuple[Definition, dict[str, str]]:
    """The definition of what is wanted, and the variables that carry its secrets.

    Invalid when a secret stands where it would be written or shown: anywhere but in ``env``."""
    carried: dict[str, str] = {}
    steps = []
    for name, step in attributes["steps"].items():
        plain: dict[str, str] = {}
        secrets: dict[str, str] = {}
        for variable, value in step.get("env", EMPTY).items():
            if isinstance(value, Secret):
                secrets[variable] = f"MLINFRA_SECRET_{len(carried)}"
                carried[secrets[variable]] = _text(value.reveal())
            else:
                plain[variable] = _text(value)
        _refuse_secrets(name, step)
        inputs = step.get("inputs", EMPTY)
        versions = {k: str(v["version"]) for k, v in inputs.items() if isinstance(v, Mapping) and v.get("version")}
        uris = {k: _uri(name, k, v) for k, v in inputs.items()}
        for key, version in versions.items():
            if "://" not in uris[key]:
                _check_digest(client, uris[key], version, ("steps", name, "inputs", key))
        steps.append(
            StepDefinition(
                name=name,
                command=step.get("command"),
                arguments=_arguments(step.get("params", EMPTY)),
                needs=tuple(step.get("needs", ())),
                takes={k: _source(v) for k, v in step.get("takes", EMPTY).items()},
                inputs=uris,
                versions=versions,
                outputs=tuple(step.get("outputs", ())),
                env=plain,
                secrets=secrets,
                expect=thaw(step.get("expect", EMPTY)),
                timeout=step.get("timeout"),
                retries=step.get("retries", 0),
            )
        )
    name = str(attributes["name"])
    key = secret_key(client, own_run(name)) if carried else b""
    definition = Definition(
        name=name,
        code=str(attributes["code"]["digest"]),
        base=str(client.base.resolve()),
        fingerprint=fingerprint_of(attributes, key),
        steps=tuple(steps),
        requirements=_requirements(client, attributes.get("requirements", ())),
        schedule=attributes.get("schedule"),
        timezone=attributes.get("timezone", "UTC"),
    )
    return definition, carried


def fingerprint_of(attributes: Map, key: bytes = b"") -> str:
    """64 hex digits over everything that the results depend on: code, environment and steps."""
    steps = {
        name: {k: v for k, v in step.items() if k not in ("timeout", "retries")} for name, step in attributes["steps"].items()
    }
    return fingerprint(
        code=str(attributes["code"]["digest"]),
        command="",
        environment=attributes.get("requirements", ()),
        inputs=steps,
        key=key,
    )


def predicted_fingerprint(attributes: Map) -> str | None:
    """The same at plan time; None while something is unknown, and where a secret takes part (its key is not known then)."""
    parts = {k: attributes.get(k) for k in ("code", "steps", "requirements")}
    if not is_known(parts) or any(isinstance(leaf, Secret) for _, leaf in leaves(parts)):
        return None
    return fingerprint_of(attributes)


def write(file: FilePath, definition: Definition) -> None:
    """Readers see the old definition or the new one, whole."""
    shown = {f.name: getattr(definition, f.name) for f in fields(definition)}
    shown["steps"] = [{f.name: getattr(s, f.name) for f in fields(s)} for s in definition.steps]
    write_atomically(file, json.dumps(shown, indent=1))


def read(file: FilePath) -> Definition:
    """OSError when there is none, ValueError when it is no definition."""
    found = json.loads(file.read_text())
    try:
        steps = []
        for step in found.pop("steps"):
            step["takes"] = {k: (v[0], v[1]) for k, v in step["takes"].items()}
            given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in step.items()}
            steps.append(StepDefinition(**given))
        return Definition(**{**found, "steps": tuple(steps), "requirements": tuple(found["requirements"])})
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{file.name} is no definition of a pipeline: {error}") from error


def _requirements(client: LocalClient, given: Value) -> tuple[str, ...]:
    if not isinstance(given, Mapping):
        return tuple(given)
    path = str(given["path"])
    _check_digest(client, path, str(given["digest"]), ("requirements",))
    lines = (client.base / path).read_text(errors="replace").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _check_digest(client: LocalClient, path: str, planned: str, place: Path) -> None:
    try:
        found = files.digest(client.base, path).digest
    except OSError as error:
        raise Invalid(f"{path!r} cannot be read: {error.strerror}", path=place) from error
    if found != planned:
        raise Invalid(f"{path!r} changed since the plan was made", path=place, hint="plan again")


def own_run(name: str) -> str:
    """The folder below ``runs`` for what belongs to no single step."""
    return f"{name}/.pipeline"


def _refuse_secrets(name: str, step: Map) -> None:
    for path, leaf in leaves(Map({k: v for k, v in step.items() if k != "env"})):
        if isinstance(leaf, Secret):
            raise Invalid(
                f"a secret cannot stand in {path[0]}: command lines are visible to everybody on this machine",
                path=("steps", name, *path),
                hint="pass it by env",
            )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _arguments(params: Map) -> tuple[str, ...]:
    return tuple(part for name, value in params.items() for part in (f"--{name}", _text(value)))


def _source(text: str) -> tuple[str, str]:
    step, _, output = text.partition(".")
    return step, output


def _uri(step: str, name: str, value: Value) -> str:
    uri = value.get("uri") if isinstance(value, Mapping) else value
    if not isinstance(uri, str) or not uri:
        raise Invalid(
            f"the input {name} of step {step} has no value",
            path=("steps", step, "inputs", name),
            hint="what it refers to has not been made yet",
        )
    return uri
