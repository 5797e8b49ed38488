"""What a run's container gets: the user's code, ``run.json``, and our small program that runs it, as one archive named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import EMPTY, Map, Secret, Value, leaves, thaw
from mlinfra.provider.failures import Invalid
from mlinfra.provider.planned import as_planned
from mlinfra.provider.runs import archive
from mlinfra.provider.runs.words import argv, parameters
from mlinfra_aws import objects
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place

ARCHIVE = "code.tar.gz"


def describe(mode: str, steps: Mapping[str, Any], requirements: tuple[str, ...]) -> str:
    """``run.json``. Invalid when a secret stands where it would be stored."""
    for path, leaf in leaves(Map({name: {k: v for k, v in s.items() if k != "env"} for name, s in steps.items()})):
        if isinstance(leaf, Secret):
            raise Invalid(
                f"a secret cannot stand in {path[1]}: it would be stored in S3",
                path=("steps", *path),
                hint="read it from Secrets Manager",
            )
    found = {name: _step(step, steps) for name, step in steps.items()}
    return json.dumps({"mode": mode, "requirements": list(requirements), "steps": found}, sort_keys=True)


def _step(step: Mapping[str, Any], steps: Mapping[str, Any]) -> dict[str, Any]:
    command = step.get("command")
    inputs = {name: _uri(value) for name, value in step.get("inputs", EMPTY).items()}
    inputs |= {name: "" for name in step.get("takes", EMPTY)}
    return {
        "argv": argv(command, parameters(step.get("params", EMPTY))) if command is not None else [],
        "inputs": inputs,
        "outputs": list(step.get("outputs", ())),
        "expect": thaw(step.get("expect", EMPTY)),
        "results": [need for need in step.get("needs", ()) if command is None and need in steps],
    }


def _uri(value: Value) -> str:
    return str(value.get("uri", value.get("path", "")) if isinstance(value, Mapping) else value)


def digest_of(code: str, run: str) -> str:
    """Of an archive: 16 hex digits over the code's digest, what is run, and our program."""
    whole = hashlib.sha256(f"{code}\0{run}\0".encode())
    for content in (archive.program("mlinfra_aws"), *archive.checks().values()):
        whole.update(content)
    return whole.hexdigest()[:16]


def upload(client: Aws, bucket: str, code: Mapping[str, Value], run: str) -> Place:
    """Pack and upload, unless it is there already; the folder that the archive lies in."""
    place = Place(bucket, f"code/{digest_of(str(code['digest']), run)}")
    if not objects.is_whole(client, place):
        path, digest, what = str(code["path"]), str(code["digest"]), f"the code in {code['path']}"
        selected = as_planned(client.base, path, digest, what=what, mode="code", excluded=client.excluded, at=("code",))
        body = archive.packed(archive.program("mlinfra_aws"), run, selected)
        objects.put(client, place.below(ARCHIVE), body)
        objects.put_json(
            client, objects.manifest_of(place), {"version": place.key.rpartition("/")[2], "files": {ARCHIVE: len(body)}}
        )
    return place


def command(local: str, step: str) -> tuple[str, ...]:
    """What the container runs: unpack ``local`` (the folder that SageMaker downloads the archive to), then our program."""
    archive = f"${{MLINFRA_ML_ROOT:-/opt/ml}}/{local}/{ARCHIVE}"
    return ("/bin/sh", "-c", f'd=$(mktemp -d) && tar xzf "{archive}" -C "$d" && exec python3 "$d/entry.py" {step}')
