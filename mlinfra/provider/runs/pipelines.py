"""A pipeline as whoever runs it reads it: one JSON file, without a single secret.

Secrets travel in the runner's environment alone: the file holds the name of the variable that each comes by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypedDict

from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import EMPTY, Map, Secret, Value, leaves, thaw
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs.words import parameters, text

FILE = "definition.json"
VARIABLE = "MLINFRA_PIPELINE"
"""The environment variable that names the definition's file."""


class StepRecord(TypedDict):
    """What a step gave. ``fingerprint`` is ``""`` for a step that only checks; ``outputs`` maps names to URIs."""

    fingerprint: str
    outputs: dict[str, str]
    metrics: dict[str, Any]
    reused: bool


class ExpectationBroken(Invalid):
    """The step ran, and its results are not what was promised; running it again would not help."""


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
    """``code`` is the digest of the code, ``base`` the spec's folder (absolute; ``""`` where the runner cannot see it),
    ``image`` what the steps run in (``""``: none), ``fingerprint`` that of the whole."""

    name: str
    code: str
    fingerprint: str
    steps: tuple[StepDefinition, ...]
    base: str = ""
    image: str = ""
    requirements: tuple[str, ...] = ()
    schedule: str | None = None
    timezone: str = "UTC"


def steps_of(steps: Map) -> tuple[tuple[StepDefinition, ...], dict[str, str]]:
    """The steps of a pipeline's attributes, and the variables that carry their secrets.

    Invalid when a secret stands where it would be written or shown: anywhere but in ``env``."""
    carried: dict[str, str] = {}
    found = []
    for name, step in steps.items():
        plain: dict[str, str] = {}
        secrets: dict[str, str] = {}
        for variable, value in step.get("env", EMPTY).items():
            if isinstance(value, Secret):
                secrets[variable] = f"MLINFRA_SECRET_{len(carried)}"
                carried[secrets[variable]] = text(value.reveal())
            else:
                plain[variable] = text(value)
        _refuse_secrets(name, step)
        inputs = step.get("inputs", EMPTY)
        found.append(
            StepDefinition(
                name=name,
                command=step.get("command"),
                arguments=parameters(step.get("params", EMPTY)),
                needs=tuple(step.get("needs", ())),
                takes={k: _source(v) for k, v in step.get("takes", EMPTY).items()},
                inputs={k: _uri(name, k, v) for k, v in inputs.items()},
                versions={k: str(v["version"]) for k, v in inputs.items() if isinstance(v, Mapping) and v.get("version")},
                outputs=tuple(step.get("outputs", ())),
                env=plain,
                secrets=secrets,
                expect=thaw(step.get("expect", EMPTY)),
                timeout=step.get("timeout"),
                retries=step.get("retries", 0),
            )
        )
    return tuple(found), carried


def to_json(definition: Definition) -> str:
    """The definition as text; :func:`from_json` reads it."""
    shown = {f.name: getattr(definition, f.name) for f in fields(definition)}
    shown["steps"] = [{f.name: getattr(s, f.name) for f in fields(s)} for s in definition.steps]
    return json.dumps(shown, indent=1)


def from_json(given: str) -> Definition:
    """ValueError when it is no definition."""
    found = json.loads(given)
    try:
        steps = []
        for step in found.pop("steps"):
            step["takes"] = {k: (v[0], v[1]) for k, v in step["takes"].items()}
            known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in step.items()}
            steps.append(StepDefinition(**known))
        return Definition(**{**found, "steps": tuple(steps), "requirements": tuple(found["requirements"])})
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"this is no definition of a pipeline: {error}") from error


def inherited_metrics(step: StepDefinition, upstream: Mapping[str, StepRecord]) -> dict[str, Any]:
    """A step that only checks, checks the metrics of those that it needs."""
    return {name: value for need in step.needs for name, value in upstream[need]["metrics"].items()}


def _refuse_secrets(name: str, step: Map) -> None:
    for path, leaf in leaves(Map({k: v for k, v in step.items() if k != "env"})):
        if isinstance(leaf, Secret):
            raise Invalid(
                f"a secret cannot stand in {path[0]}: command lines are visible to everybody on this machine",
                path=("steps", name, *path),
                hint="pass it by env",
            )


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
