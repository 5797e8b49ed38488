"""What a run's container gets: the user's code, ``run.json``, and our small program, as one archive named by its content."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from importlib import resources
from typing import Any

from mlinfra.model.values import EMPTY, Map, Value, thaw
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid
from mlinfra.provider.progress import say
from mlinfra.provider.runs.words import argv, parameters, requirement_lines, text
from mlinfra_gcp.client import GcpClient

_CHECKS = ("kinds/expectations.py", "provider/runs/expectations.py")
"""Modules of ours that check ``expect`` in the container: the same as on every other target."""


def job_steps(attributes: Mapping[str, Value]) -> Map:
    """A training job as the one step of a run."""
    names = {"run": "command", "params": "params", "inputs": "inputs", "outputs": "outputs", "expect": "expect"}
    return Map(run=Map({new: attributes[old] for old, new in names.items() if attributes.get(old) is not None}))


def describe(
    bucket: str, name: str, steps: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]], lines: tuple[str, ...]
) -> str:
    """``run.json``. ``inputs`` are the URIs of each step's inputs."""
    found = {
        step: {
            "argv": argv(s["command"], parameters(s.get("params", EMPTY))) if s.get("command") is not None else [],
            "inputs": dict(inputs.get(step, {})),
            "takes": dict(s.get("takes", EMPTY)),
            "outputs": list(s.get("outputs", ())),
            "expect": thaw(s.get("expect", EMPTY)),
            "results": [n for n in s.get("needs", ()) if s.get("command") is None and n in steps],
        }
        for step, s in steps.items()
    }
    return json.dumps({"bucket": bucket, "name": name, "requirements": list(lines), "steps": found}, sort_keys=True)


def archive_name(code: str, run: str) -> str:
    """Where the archive of this code and description lies in the run's bucket."""
    entry = resources.files("mlinfra_gcp").joinpath("container/entry.py").read_bytes()
    return f"code/{hashlib.sha256(f'{code} {run} '.encode() + entry).hexdigest()[:32]}.tar.gz"


def command(bucket: str, archive: str, step: str) -> list[str]:
    """What the container runs, but for the name of the run, which comes as its last argument."""
    place = f"${{MLINFRA_GCS_ROOT:-/gcs}}/{bucket}/{archive}"
    return ["/bin/sh", "-c", f'd=$(mktemp -d) && tar xzf "{place}" -C "$d" && exec python3 "$d/entry.py" {step} "$0"']


async def upload(client: GcpClient, bucket: str, code: Mapping[str, Any], run: str) -> str:
    """Put the archive into the bucket, if it isn't there; its name. Invalid when the code is no longer the plan's."""
    name = archive_name(str(code["digest"]), run)
    if not await client.objects(bucket, name):
        verify(client, f"the code in {code['path']}", code, "code")
        say("uploading the code")
        await client.upload(bucket, name, _packed(client, str(code["path"]), run), content_type="application/gzip")
    return name


def verify(client: GcpClient, what: str, given: Mapping[str, Any], mode: files.Mode = "data") -> None:
    """Invalid when a local path is no longer what it was when the plan was made."""
    try:
        found = files.digest(client.base, str(given.get("path", given.get("uri"))), mode, client.context.excluded).digest
    except OSError as error:
        raise Invalid(f"{what} cannot be read: {error.strerror}") from error
    if found != given.get("digest", given.get("version")):
        raise Invalid(f"{what} changed since the plan was made", hint="plan again")


def lines(client: GcpClient, requirements: Value) -> tuple[str, ...]:
    """Requirements as lines; those of a file are read, if it is still the plan's."""
    if not isinstance(requirements, Mapping):
        return tuple(requirements or ())
    verify(client, f"the file {requirements['path']}", requirements)
    return tuple(requirement_lines((client.base / requirements["path"]).read_text(encoding="utf-8")))


def environment(env: Mapping[str, Value]) -> list[dict[str, str]]:
    """Environment variables as Vertex AI takes them."""
    return [{"name": name, "value": text(value)} for name, value in sorted(env.items())]


def _packed(client: GcpClient, path: str, run: str) -> bytes:
    raw = io.BytesIO()
    selected = files.select(client.base, path, "code", client.context.excluded)
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:

        def add(name: str, data: bytes, mode: int = 0o644) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        add("entry.py", resources.files("mlinfra_gcp").joinpath("container/entry.py").read_bytes())
        add("run.json", run.encode())
        for package in ("mlinfra", "mlinfra/kinds", "mlinfra/provider", "mlinfra/provider/runs"):
            add(f"{package}/__init__.py", b"")
        for name in _CHECKS:
            add(f"mlinfra/{name}", resources.files("mlinfra").joinpath(name).read_bytes())
        add("code/.keep", b"")
        for file in selected:
            add(f"code/{file.name}", file.path.read_bytes(), file.path.stat().st_mode & 0o777)
    return raw.getvalue()
