"""What the training jobs of every target share: the attributes of :func:`mlinfra.provider.runs.lowering.job`, those that a run gives, and
what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from mlinfra.model.schema import Attribute
from mlinfra.model.values import Map, Path, Secret, SecretDigest, Value, leaves
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs.words import argv

ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(
    {
        "code": Attribute(type="map", required=True),
        "run": Attribute(type="string", required=True),
        "params": Attribute(type="map"),
        "env": Attribute(type="map"),
        "inputs": Attribute(type="map"),
        "outputs": Attribute(type="list"),
        "expect": Attribute(type="map"),
        "requirements": Attribute(type="any"),
        "processes": Attribute(type="integer"),
        "timeout": Attribute(type="number"),
        "run_on_apply": Attribute(type="boolean"),
        "id": Attribute(type="string", computed=True),
        "status": Attribute(type="string", computed=True),
        "artifact": Attribute(type="string", computed=True),
        "artifact_digest": Attribute(type="string", computed=True),
        "results": Attribute(type="map", computed=True),
        "metrics": Attribute(type="map", computed=True),
        "fingerprint": Attribute(type="string", computed=True),
    }
)
"""``results`` maps each output to the URI of its content, ``artifact`` is that of ``model`` or of the first one."""


DONE = "done"
"""The ``status`` of a job whose results are there."""


def predict(attributes: Map) -> Mapping[str, Value]:
    """What is known before the run: its id, and that it will be done where it runs on apply."""
    known: dict[str, Value] = {"id": attributes["name"]} if isinstance(attributes.get("name"), str) else {}
    return known | ({"status": DONE} if attributes.get("run_on_apply", True) is True else {})


def computed(
    wanted: Map, fingerprint: str, outputs: Mapping[str, str], digests: Mapping[str, str], metrics: Map, status: str
) -> dict[str, Value]:
    """What a run gave, as attributes: ``outputs`` are URIs by name, ``digests`` those of their content; empty: it gave nothing."""
    first = "model" if "model" in outputs else next((name for name in wanted.get("outputs", ()) if name in outputs), "")
    return {
        "id": wanted["name"],
        "status": status,
        "artifact": outputs.get(first),
        "artifact_digest": digests.get(first),
        "results": Map(outputs),
        "metrics": metrics,
        "fingerprint": fingerprint,
    }


def as_steps(attributes: Mapping[str, Value]) -> Map:
    """A training job as the one step of a run, called ``run``, as :mod:`mlinfra.provider.runs.pipelines` has steps."""
    names = {"run": "command", "params": "params", "inputs": "inputs", "outputs": "outputs", "expect": "expect"}
    return Map(run=Map({new: attributes[old] for old, new in names.items() if attributes.get(old) is not None}))


def problems(attributes: Map, *, exposed: Iterable[str], why: str) -> list[tuple[Path, str]]:
    """A command that makes no sense, and secrets in the ``exposed`` attributes; ``why`` they must not stand there."""
    found: list[tuple[Path, str]] = []
    if isinstance(attributes.get("run"), str):
        try:
            argv(attributes["run"])
        except Invalid as error:
            found.append((("run",), error.message))
    return found + secrets_in(attributes, exposed, why)


def secrets_in(attributes: Map, names: Iterable[str], why: str) -> list[tuple[Path, str]]:
    """The places of secrets in the attributes ``names``, each with ``why`` they must not stand there."""
    return [
        ((name, *path), why)
        for name in names
        for path, leaf in leaves(attributes.get(name))
        if isinstance(leaf, (Secret, SecretDigest))
    ]
