"""What the pipelines of the targets that run Dagster themselves share: attributes, what should be kept running, the last complete run.

Pure: where the result is kept, and how Dagster is started, is each target's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from mlinfra.model.dataclass import dataclass
from mlinfra.model.schema import Attribute
from mlinfra.model.values import EMPTY, Map, Path, Secret, is_known, leaves
from mlinfra.provider.runs.pipelines import Definition, StepRecord

RESULT = "result.json"
"""The name of the file that holds the last complete run."""
ROLES = ("webserver", "daemon")
_SECRET = "a secret cannot stand here: command lines are visible to everybody; pass it by env"

ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(
    {
        "code": Attribute(type="map", required=True),
        "steps": Attribute(type="map", required=True),
        "requirements": Attribute(type="any"),
        "schedule": Attribute(type="string"),
        "timezone": Attribute(type="string"),
        "run_on_apply": Attribute(type="boolean"),
        "ui": Attribute(type="boolean"),
        "outputs": Attribute(type="map", computed=True),
        "metrics": Attribute(type="map", computed=True),
        "fingerprint": Attribute(type="string", computed=True),
        "status": Attribute(type="string", computed=True),
        "url": Attribute(type="string", computed=True),
        "run": Attribute(type="string", computed=True, volatile=True),
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of Dagster a pipeline should keep running: a schedule needs both."""

    ui: bool
    schedule: bool

    @property
    def roles(self) -> tuple[str, ...]:
        return ROLES if self.schedule else ROLES[:1] if self.ui else ()


@dataclass(frozen=True, slots=True)
class Result:
    """A complete run. ``fingerprint`` is the definition's, ``run`` Dagster's run id (``""``: mlinfra ran it), ``steps`` what each gave."""

    fingerprint: str
    run: str
    steps: Mapping[str, StepRecord]

    @property
    def outputs(self) -> dict[str, str]:
        """Name → URI over all steps; names are unique in a pipeline."""
        return {name: uri for record in self.steps.values() for name, uri in record["outputs"].items()}

    @property
    def metrics(self) -> dict[str, Any]:
        """Name → value over all steps; of a name used twice the later step's."""
        return {name: value for record in self.steps.values() for name, value in record["metrics"].items()}


def to_text(definition: Definition, run: str, steps: Mapping[str, StepRecord]) -> str:
    """A complete run as it is kept."""
    ordered = {step.name: steps[step.name] for step in definition.steps}
    return json.dumps({"fingerprint": definition.fingerprint, "run": run, "steps": ordered})


def from_text(text: str | bytes) -> Result | None:
    """None when it tells of no complete run."""
    try:
        found = json.loads(text)
        return Result(str(found["fingerprint"]), str(found["run"]), cast(Mapping[str, StepRecord], found["steps"]))
    except (ValueError, KeyError, TypeError):
        return None


def wanted_of(attributes: Map) -> Wanted | None:
    """None while it is not known."""
    ui, schedule = attributes.get("ui", False), attributes.get("schedule")
    return Wanted(bool(ui), bool(schedule)) if is_known((ui, schedule)) else None


def computed(given: Map, result: Result | None, *, status: str, url: str | None) -> dict[str, Any]:
    """The attributes that the last complete run gives a pipeline; every declared output is there, without a URI until it was written."""
    declared = [output for step in given.get("steps", EMPTY).values() for output in step.get("outputs", ())]
    return {
        "outputs": {output: result.outputs.get(output) if result else None for output in declared},
        "metrics": result.metrics if result else {},
        "fingerprint": result.fingerprint if result and status != "incomplete" else "",
        "status": status,
        "url": url,
        "run": result.run if result else "",
    }


def problems(attributes: Map) -> list[tuple[Path, str]]:
    """Secrets outside of ``env``: command lines are visible to everybody on the machine."""
    return [
        (("steps", *path), _SECRET)
        for path, leaf in leaves(attributes.get("steps", EMPTY))
        if isinstance(leaf, Secret) and path[1:2] != ("env",)
    ]
