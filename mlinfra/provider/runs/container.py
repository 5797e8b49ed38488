"""What a provider's small program does in the cloud's container: run one step of ``run.json``, keep what it wrote by content, tell it.

Standard library only (pandas for tables that are checked): it travels to the container in the archive, beside the provider's
``container/entry.py``, which knows where things lie. Outputs are kept below the digest of their content, and what a step left is told in
``STEP.json``; the text of a failure in ``STEP.failed``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Broken(Exception):
    """The run, or what it left, is not as it should be; the text is for people."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """``code`` is the user's code, ``inputs`` maps a name to where that input lies, ``content`` is where outputs are kept, ``results`` where
    this run's records are written; ``above`` and ``kept`` are where those of the steps before, and what they gave, are read. ``uri`` names a
    content by its digest."""

    code: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)
    content: Path
    results: Path
    above: Path
    kept: Path
    uri: Callable[[str], str]


def run(
    name: str, description: Mapping[str, Any], places: Places, *, rank: int = 0, world: int = 1, head: str = "localhost"
) -> int:
    """Run the step ``name`` of ``run.json``; the exit code. Of several processes, only the first keeps and tells."""
    environment = {"MLINFRA_RANK": str(rank), "MLINFRA_WORLD_SIZE": str(world), "MLINFRA_HEAD": head}
    try:
        record = _perform(description["steps"][name], description, places, environment, first=rank == 0)
    except Broken as error:
        sys.stderr.write(f"mlinfra: {error}\n")
        if rank == 0:
            write(places.results / f"{name}.failed", str(error)[:2000])
        return 1
    if record is not None:
        write(places.results / f"{name}.json", json.dumps(record, sort_keys=True))
    return 0


def _perform(
    step: Mapping[str, Any], whole: Mapping[str, Any], places: Places, more: Mapping[str, str], *, first: bool
) -> dict[str, Any] | None:
    scratch = Path(tempfile.mkdtemp(prefix="mlinfra-"))
    found = {**_given(step, places), **_taken(step, places)}
    environment = {**os.environ, **more, **{variable("INPUT", n): str(p) for n, p in found.items()}}
    for output in step["outputs"]:
        (scratch / output).mkdir()
        environment[variable("OUTPUT", output)] = str(scratch / output)
    if step["argv"]:
        _install(whole["requirements"])
        _attempt(step, places.code, environment)
    if not first:
        return None
    metrics = _inherited(step, places)
    for output in step["outputs"]:
        if not any(p.is_file() for p in (scratch / output).rglob("*")):
            raise Broken(
                f"nothing was written to the output {output}: write into the folder that ${variable('OUTPUT', output)} names"
            )
        if (scratch / output / "metrics.json").is_file():
            metrics.update(_metrics(scratch / output / "metrics.json"))
    _check(step, metrics, [scratch / o for o in step["outputs"]] or list(found.values()))
    digests = {output: keep(scratch / output, places.content) for output in step["outputs"]}
    shutil.rmtree(scratch, ignore_errors=True)
    return {
        "outputs": {output: places.uri(digest) for output, digest in digests.items()},
        "digests": {output: f"sha256:{digest}" for output, digest in digests.items()},
        "metrics": metrics,
    }


def _given(step: Mapping[str, Any], places: Places) -> dict[str, Path]:
    missing = [n for n in step["inputs"] if n not in places.inputs or not places.inputs[n].exists()]
    if missing:
        raise Broken(f"there is nothing at {step['inputs'][missing[0]]}, the input {missing[0]}")
    return {n: places.inputs[n] for n in step["inputs"]}


def _taken(step: Mapping[str, Any], places: Places) -> dict[str, Path]:
    """The outputs of earlier steps that this one takes."""
    found: dict[str, Path] = {}
    for name, source in step["takes"].items():
        above, _, output = source.partition(".")
        digest = _record(places.above, above)["digests"][output].removeprefix("sha256:")
        found[name] = places.kept / digest
    return found


def _record(folder: Path, step: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / f"{step}.json").read_text())
    except OSError:
        raise Broken(f"the step {step} left no record") from None
    return found


def _inherited(step: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """A step that only checks, checks the metrics of those that it needs."""
    found: dict[str, Any] = {}
    for need in step["results"]:
        found.update(_record(places.above, need)["metrics"])
    return found


def _attempt(step: Mapping[str, Any], code: Path, environment: Mapping[str, str]) -> None:
    for left in range(step.get("retries", 0), -1, -1):
        exit_code = subprocess.run(step["argv"], cwd=code, env=dict(environment)).returncode
        if exit_code == 0:
            return
        if left:
            sys.stderr.write(f"mlinfra: exit code {exit_code}; {left} more attempt{'s' if left > 1 else ''}\n")
    raise Broken(f"`{' '.join(step['argv'])}` ended with exit code {exit_code}")


def keep(folder: Path, content: Path) -> str:
    """Copy to where its digest says; that of mlinfra.provider.files: over the names and the digest of each file's bytes."""
    whole = hashlib.sha256()
    files = sorted((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*") if p.is_file())
    for name, file in files:
        whole.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode("utf-8", "surrogateescape"))
    digest = whole.hexdigest()
    for name, file in files:
        target = content / digest / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return digest


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _install(requirements: list[str]) -> None:
    if requirements:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        if subprocess.run(command).returncode:
            raise Broken(f"the requirements cannot be installed: {', '.join(requirements)}")


def _metrics(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise Broken(f"{file} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Broken(f"{file} must be an object of names and numbers")
    return {k: None if isinstance(v, float) and v != v else v for k, v in found.items()}


def _check(step: Mapping[str, Any], metrics: Mapping[str, Any], places: list[Path]) -> None:
    if step["expect"]:
        from mlinfra.provider.runs.expectations import broken

        problems = broken(step["expect"], metrics, places)
        if problems:
            raise Broken("; ".join(problems))


def variable(direction: str, name: str) -> str:
    """``variable("INPUT", "train-set")`` is ``MLINFRA_INPUT_TRAIN_SET``."""
    return f"MLINFRA_{direction}_" + "".join(c if c.isalnum() or c == "_" else "_" for c in name).upper()
