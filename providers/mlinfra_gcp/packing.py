"""What a run's container gets: the user's code, ``run.json``, and our small program, as one archive named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import EMPTY, Value, thaw
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say
from mlinfra.provider.runs import archive
from mlinfra.provider.runs.words import argv, parameters, setting
from mlinfra_gcp.client import GcpClient


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
    entry = archive.program("mlinfra_gcp")
    return f"code/{hashlib.sha256(f'{code} {run} '.encode() + entry).hexdigest()[:32]}.tar.gz"


def command(bucket: str, name: str, step: str) -> list[str]:
    """What the container runs of the archive ``name``, but for the name of the run, which comes as its last argument."""
    place = f"${{MLINFRA_GCS_ROOT:-/gcs}}/{bucket}/{name}"
    return ["/bin/sh", "-c", f'd=$(mktemp -d) && tar xzf "{place}" -C "$d" && exec python3 "$d/entry.py" {step} "$0"']


async def upload(client: GcpClient, bucket: str, code: Mapping[str, Any], run: str) -> str:
    """Put the archive into the bucket, if it isn't there; its name. Invalid when the code is no longer the plan's."""
    name = archive_name(str(code["digest"]), run)
    if not await client.objects(bucket, name):
        path, digest, what = str(code["path"]), str(code["digest"]), f"the code in {code['path']}"
        selected = as_planned(client.base, path, digest, what=what, mode="code", excluded=client.context.excluded, at=("code",))
        say("uploading the code")
        body = archive.packed(archive.program("mlinfra_gcp"), run, selected)
        await client.upload(bucket, name, body, content_type="application/gzip")
    return name


def environment(env: Mapping[str, Value]) -> list[dict[str, str]]:
    """Environment variables as Vertex AI takes them."""
    return [{"name": name, "value": setting(value)} for name, value in sorted(env.items())]
