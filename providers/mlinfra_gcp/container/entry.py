"""Runs one step or training job in a container of Vertex AI: ``python3 entry.py STEP RUN``. Standard library only; pandas for tables.

``run.json`` beside it says what to run. Buckets are mounted below /gcs:
https://cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system. Outputs are kept by the digest of their content
(``content/DIGEST/…``), and what a step left is told in ``results/NAME/RUN/STEP.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUCKETS = Path(os.environ.get("MLINFRA_GCS_ROOT", "/gcs"))


class Broken(Exception):
    """The run, or what it left, is not as it should be; the text is for people."""


def main(name: str, run_name: str) -> int:
    run = json.loads((HERE / "run.json").read_text())
    results = BUCKETS / run["bucket"] / "results" / run["name"] / run_name
    try:
        record = perform(run["steps"][name], run, results)
    except Broken as error:
        sys.stderr.write(f"mlinfra: {error}\n")
        if rank() == 0:
            write(results / f"{name}.failed", str(error)[:2000])
        return 1
    if record is not None:
        write(results / f"{name}.json", json.dumps(record, sort_keys=True))
    return 0


def perform(step: dict[str, Any], run: dict[str, Any], results: Path) -> dict[str, Any] | None:
    scratch = Path(tempfile.mkdtemp(prefix="mlinfra-"))
    places = inputs(step, results)
    environment = {**os.environ, **ranks()}
    environment.update({variable("INPUT", n): str(p) for n, p in places.items()})
    for output in step["outputs"]:
        (scratch / output).mkdir()
        environment[variable("OUTPUT", output)] = str(scratch / output)
    if step["argv"]:
        install(run["requirements"])
        code = subprocess.run(step["argv"], cwd=HERE / "code", env=environment).returncode
        if code:
            raise Broken(f"`{' '.join(step['argv'])}` ended with exit code {code}")
    if rank():
        return None
    record: dict[str, Any] = {"outputs": {}, "digests": {}, "metrics": inherited(step, results)}
    for output in step["outputs"]:
        folder = scratch / output
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        if not files:
            named = variable("OUTPUT", output)
            raise Broken(f"nothing was written to the output {output}: write into the folder that ${named} names")
        if (folder / "metrics.json").is_file():
            record["metrics"].update(metrics(folder / "metrics.json"))
    check(step, record["metrics"], [scratch / o for o in step["outputs"]] or list(places.values()))
    for output in step["outputs"]:
        digest = keep(scratch / output, BUCKETS / run["bucket"] / "content")
        record["outputs"][output] = f"gs://{run['bucket']}/content/{digest}"
        record["digests"][output] = f"sha256:{digest}"
    return record


def inputs(step: dict[str, Any], results: Path) -> dict[str, Path]:
    places: dict[str, Path] = {}
    for name, uri in step["inputs"].items():
        places[name] = BUCKETS / uri.removeprefix("gs://")
        if not places[name].exists():
            raise Broken(f"there is nothing at {uri}, the input {name}")
    for name, source in step["takes"].items():
        above, _, output = source.partition(".")
        uri = json.loads((results / f"{above}.json").read_text())["outputs"][output]
        places[name] = BUCKETS / uri.removeprefix("gs://")
    return places


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


def ranks() -> dict[str, str]:
    """https://cloud.google.com/vertex-ai/docs/training/distributed-training"""
    spec = json.loads(os.environ.get("CLUSTER_SPEC") or "{}")
    pools = spec.get("cluster", {})
    hosts = [host for pool in sorted(pools) for host in pools[pool]]
    task = spec.get("task", {})
    before = sum(len(pools[p]) for p in sorted(pools) if p < task.get("type", ""))
    return {
        "MLINFRA_RANK": str(before + int(task.get("index", 0))),
        "MLINFRA_WORLD_SIZE": str(max(1, len(hosts))),
        "MLINFRA_HEAD": hosts[0].partition(":")[0] if hosts else "localhost",
    }


def rank() -> int:
    return int(ranks()["MLINFRA_RANK"])


def install(requirements: list[str]) -> None:
    if requirements:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        if subprocess.run(command).returncode:
            raise Broken(f"the requirements cannot be installed: {', '.join(requirements)}")


def metrics(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise Broken(f"{file} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Broken(f"{file} must be an object of names and numbers")
    return {k: None if isinstance(v, float) and v != v else v for k, v in found.items()}


def inherited(step: dict[str, Any], results: Path) -> dict[str, Any]:
    """A step that only checks, checks the metrics of those that it needs."""
    found: dict[str, Any] = {}
    for need in step["results"]:
        found.update(json.loads((results / f"{need}.json").read_text())["metrics"])
    return found


def check(step: dict[str, Any], found: dict[str, Any], places: list[Path]) -> None:
    if step["expect"]:
        sys.path.insert(0, str(HERE))
        from mlinfra.provider.runs.expectations import broken

        problems = broken(step["expect"], found, places)
        if problems:
            raise Broken("; ".join(problems))


def variable(direction: str, name: str) -> str:
    return f"MLINFRA_{direction}_" + "".join(c if c.isalnum() or c == "_" else "_" for c in name).upper()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
