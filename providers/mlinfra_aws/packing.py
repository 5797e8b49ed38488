"""What a run's container gets: the user's code, ``run.json``, and our small program that runs it, as one archive named by its content."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from importlib import resources
from typing import Any

from mlinfra.model.values import EMPTY, Map, Secret, Value, leaves, thaw
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs.words import argv, parameters, requirement_lines
from mlinfra_aws import objects
from mlinfra_aws.client import Aws
from mlinfra_aws.objects import Place

ARCHIVE = "code.tar.gz"
_CHECKS = ("kinds/expectations.py", "provider/runs/expectations.py")
"""Modules of ours that check ``expect`` in the container: the same as on every other target."""


def job_steps(attributes: Mapping[str, Value]) -> Map:
    """A training job as the one step of a run."""
    step = {
        "command": attributes["run"],
        "params": attributes.get("params", EMPTY),
        "inputs": attributes.get("inputs", EMPTY),
        "outputs": attributes.get("outputs", ()),
        "expect": attributes.get("expect", EMPTY),
    }
    return Map(run=Map(step))


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


def lines(client: Aws, requirements: Value) -> tuple[str, ...]:
    """Requirements as lines; those of a file are read, if it is still the plan's."""
    if not isinstance(requirements, Mapping):
        return tuple(requirements or ())
    verify(client, f"the file {requirements['path']}", requirements)
    return requirement_lines((client.base / requirements["path"]).read_text(encoding="utf-8"))


def verify(client: Aws, what: str, given: Mapping[str, Any]) -> None:
    """Invalid when a local path is no longer what it was when the plan was made."""
    try:
        found = files.digest(client.base, str(given["path"])).digest
    except OSError as error:
        raise Invalid(f"{what} cannot be read: {error.strerror}") from error
    if found != given.get("digest", given.get("version")):
        raise Invalid(f"{what} changed since the plan was made", hint="plan again")


def digest_of(code: str, run: str) -> str:
    """Of an archive: 16 hex digits over the code's digest, what is run, and our program."""
    whole = hashlib.sha256(f"{code}\0{run}\0".encode())
    whole.update(resources.files("mlinfra_aws").joinpath("container/entry.py").read_bytes())
    for name in _CHECKS:
        whole.update(resources.files("mlinfra").joinpath(name).read_bytes())
    return whole.hexdigest()[:16]


def upload(client: Aws, bucket: str, code: Mapping[str, Value], run: str) -> Place:
    """Pack and upload, unless it is there already; the folder that the archive lies in."""
    place = Place(bucket, f"code/{digest_of(str(code['digest']), run)}")
    if not objects.is_whole(client, place):
        selected = files.select(client.base, str(code["path"]), "code", client.excluded)
        if files.digest_files(selected).digest != code["digest"]:
            raise Invalid(f"the code in {code['path']} changed since the plan was made", path=("code",), hint="plan again")
        body = _pack(selected, run)
        objects.put(client, place.below(ARCHIVE), body)
        objects.put_json(
            client, objects.manifest_of(place), {"version": place.key.rpartition("/")[2], "files": {ARCHIVE: len(body)}}
        )
    return place


def _pack(selected: list[files.SelectedFile], run: str) -> bytes:
    raw = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:

        def add(name: str, content: bytes, mode: int = 0o644) -> None:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))

        add("entry.py", resources.files("mlinfra_aws").joinpath("container/entry.py").read_bytes())
        add("run.json", run.encode())
        for package in ("mlinfra", "mlinfra/kinds", "mlinfra/provider", "mlinfra/provider/runs"):
            add(f"{package}/__init__.py", b"")
        for name in _CHECKS:
            add(f"mlinfra/{name}", resources.files("mlinfra").joinpath(name).read_bytes())
        add("code/.keep", b"")
        for file in selected:
            add(f"code/{file.name}", file.path.read_bytes(), file.path.stat().st_mode & 0o777)
    return raw.getvalue()


def command(local: str, step: str) -> tuple[str, ...]:
    """What the container runs: unpack ``local`` (the folder that SageMaker downloads the archive to), then our program."""
    archive = f"${{MLINFRA_ML_ROOT:-/opt/ml}}/{local}/{ARCHIVE}"
    return ("/bin/sh", "-c", f'd=$(mktemp -d) && tar xzf "{archive}" -C "$d" && exec python3 "$d/entry.py" {step}')
