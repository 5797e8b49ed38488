"""Runs what jobs of Vertex AI run: the container's command as a process here, with the buckets' folders where its mounts would be.

Vertex AI: https://cloud.google.com/vertex-ai/docs/training/code-requirements; KFP: containers in the order of their tasks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from fakes.google.server import Google


def run(google: Google, job: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The end state of a custom or pipeline job, and its error. A container without a command of ours is taken to succeed."""
    if "jobSpec" in job:
        container = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        failed = _container(google, container, {})
    else:
        failed = _pipeline(google, job["pipelineSpec"], job.get("runtimeConfig", {}).get("parameterValues", {}))
    return ("FAILED", {"code": 3, "message": failed}) if failed else ("SUCCEEDED", None)


def _pipeline(google: Google, spec: dict[str, Any], parameters: dict[str, Any]) -> str:
    tasks = dict(spec["root"]["dag"]["tasks"])
    done: set[str] = set()
    while tasks:
        name = next(n for n, t in tasks.items() if set(t.get("dependentTasks", ())) <= done)
        task = tasks.pop(name)
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        values = {k: parameters[v["componentInputParameter"]] for k, v in task["inputs"]["parameters"].items()}
        failed = _container(google, container, values)
        if failed:
            return f"task {name} failed: {failed}"
        done.add(name)
    return ""


def _container(google: Google, container: dict[str, Any], values: dict[str, Any]) -> str:
    words = [*container.get("command", ()), *container.get("args", ())]
    if not words:
        return ""
    for name, value in values.items():
        words = [w.replace(f"{{{{$.inputs.parameters['{name}']}}}}", str(value)) for w in words]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLINFRA_GCS_ROOT": str(google.folder / "gcs"),
        **{e["name"]: e["value"] for e in container.get("env", ())},
    }
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    return (
        ""
        if done.returncode == 0
        else f"The replica workerpool0-0 exited with a non-zero status of {done.returncode}. {done.stderr[-300:]}"
    )
