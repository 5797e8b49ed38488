"""What a run's container gets: the user's code, ``run.json``, and our small program, as one archive named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import EMPTY, thaw
from mlinfra.provider.planned import as_planned
from mlinfra.provider.progress import say
from mlinfra.provider.runs import archive
from mlinfra.provider.runs.kept import Store
from mlinfra.provider.runs.words import argv, parameters


def describe(
    name: str, steps: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]], lines: tuple[str, ...], **more: Any
) -> str:
    """``run.json``, as :mod:`mlinfra.provider.runs.container` reads it. ``inputs`` are the URIs of each step's inputs; ``more`` is what the
    provider's program wants to know beside."""
    found = {
        step: {
            "argv": argv(s["command"], parameters(s.get("params", EMPTY))) if s.get("command") is not None else [],
            "inputs": dict(inputs.get(step, {})),
            "takes": dict(s.get("takes", EMPTY)),
            "outputs": list(s.get("outputs", ())),
            "expect": thaw(s.get("expect", EMPTY)),
            "results": [n for n in s.get("needs", ()) if s.get("command") is None and n in steps],
            "retries": int(s.get("retries") or 0),
        }
        for step, s in steps.items()
    }
    return json.dumps({"name": name, "requirements": list(lines), "steps": found, **more}, sort_keys=True)


def archive_name(package: str, code: str, run: str) -> str:
    """Where the archive of this code and description lies in its store."""
    program = archive.program(package) + b"".join(archive.checks().values())
    return f"code/{hashlib.sha256(f'{code} {run} '.encode() + program).hexdigest()[:32]}.tar.gz"


async def upload(store: Store, package: str, place: str, code: Mapping[str, Any], run: str, excluded: tuple[str, ...]) -> str:
    """Put the archive into the store, if it isn't there; its name. Invalid when the code is no longer the plan's."""
    name = archive_name(package, str(code["digest"]), run)
    if not await store.objects(place, name):
        path, digest, what = str(code["path"]), str(code["digest"]), f"the code in {code['path']}"
        selected = as_planned(store.base, path, digest, what=what, mode="code", excluded=excluded, at=("code",))
        say("uploading the code")
        body = archive.packed(archive.program(package), run, selected)
        await store.upload(place, name, body, content_type="application/gzip")
    return name
