"""What runs left, kept by content: ``content/DIGEST/…`` in the run's bucket, and a record a fingerprint, so that no run is done twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlinfra.model.values import Map, Value, freeze
from mlinfra.provider.failures import AlreadyExists, Invalid
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say
from mlinfra_aws import objects
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place

RESULTS = "results.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``outputs`` are URIs by name, ``digests`` those of their content, ``run`` AWS's name of the execution."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""


def owner(client: Aws, bucket: str, name: str) -> dict[str, Any] | None:
    """Whose runs of this name are: ``address``, ``op`` of the create, ``fingerprint`` of the last one. None: nobody's; nothing was made."""
    return objects.get_json(client, _owner(bucket, name))


def own(client: Aws, bucket: str, name: str, *, address: str, op: str, fingerprint: str = "", new: bool = False) -> None:
    """Take note of whose they are. AlreadyExists when ``new`` ones would be another's."""
    found = owner(client, bucket, name) or {}
    if new and found.get("address", address) != address:
        raise AlreadyExists(f"there are runs of {name} already: those of {found['address']}", path=("name",))
    objects.put_json(client, _owner(bucket, name), {"address": address, "op": op, "fingerprint": fingerprint})


def forget(client: Aws, bucket: str, name: str) -> None:
    """No run of this name was ever done: its records go, content stays for whoever refers to it, and goes with the bucket."""
    objects.delete_below(client, Place(bucket, f"results/{name}"))


def content(bucket: str, digest: str) -> Place:
    """Where content of this digest lies."""
    return Place(bucket, f"content/{digest.removeprefix('sha256:')}")


def recall(client: Aws, bucket: str, name: str, fingerprint: str) -> Outcome | None:
    """The outcome that an earlier run of this fingerprint left; None when there was none, or something of it is gone."""
    found = objects.get_json(client, _record(bucket, name, fingerprint))
    if found is None:
        return None
    outcome = Outcome(outputs=found["outputs"], digests=found["digests"], metrics=found["metrics"], run=found["run"])
    whole = all(objects.is_whole(client, objects.place_of(uri)) for uri in outcome.outputs.values())
    return outcome if whole else None


def keep(client: Aws, bucket: str, name: str, fingerprint: str, outcome: Outcome) -> None:
    """Record it: from now on this fingerprint needs no run."""
    data = {"outputs": outcome.outputs, "digests": outcome.digests, "metrics": outcome.metrics, "run": outcome.run}
    objects.put_json(client, _record(bucket, name, fingerprint), json.loads(json.dumps(data)))


def collect(client: Aws, bucket: str, places: Iterable[tuple[Place, Place]], run: str) -> Outcome:
    """The outcome of finished work. Each of ``places`` is where a step's results.json lies, and the folder of its outputs. What it wrote is
    copied to where its content says, by the server, and the originals are deleted."""
    outputs: dict[str, str] = {}
    digests: dict[str, str] = {}
    metrics: dict[str, Any] = {}
    for results, folder in places:
        record = objects.get_json(client, results)
        if record is None:
            raise Invalid(f"the run {run} left no {RESULTS} at {results.uri}", hint="was its bucket emptied meanwhile?")
        metrics.update(record.get("metrics", {}))
        for output, written in record.get("outputs", {}).items():
            target = content(bucket, str(written["digest"]))
            if not objects.is_whole(client, target):
                say(f"keeping the output {output}")
                objects.copy_version(client, folder.below(output), target, written["files"], {"version": written["digest"]})
            outputs[output], digests[output] = target.uri, str(written["digest"])
        for output in record.get("outputs", {}):
            objects.delete_below(client, folder.below(output))
    return Outcome(outputs=outputs, digests=digests, metrics=metrics, run=run)


def bring(client: Aws, bucket: str, name: str, given: Value) -> str:
    """The URI of an input: as it is, or of a local path whose content is uploaded first."""
    if not isinstance(given, Mapping):
        return str(given)
    uri = str(given.get("uri", given.get("path", "")))
    if "://" in uri:
        return uri
    version = str(given.get("digest", given.get("version")))
    selected = as_planned(client.base, uri, version, what=f"the input {name} ({uri})")
    target = content(bucket, version)
    if not objects.is_whole(client, target):
        objects.upload(client, target, selected, {"version": version})
    return target.uri


def shown(outcome: Outcome | None) -> dict[str, Value]:
    """``outputs``, ``metrics`` as attributes."""
    if outcome is None:
        return {"outputs": Map(), "metrics": Map()}
    return {"outputs": freeze(dict(outcome.outputs)), "metrics": freeze(dict(outcome.metrics))}


def _owner(bucket: str, name: str) -> Place:
    return Place(bucket, f"results/{name}/owner.json")


def _record(bucket: str, name: str, fingerprint: str) -> Place:
    return Place(bucket, f"results/{name}/{fingerprint}.json")
