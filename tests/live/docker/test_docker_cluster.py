"""A Ray cluster of containers: a job that sees all nodes, and a cluster that shrinks in place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live.docker import images, parts
from live.docker.engine import docker_api  # noqa: F401  a fixture

PROJECT = f"cluster{os.getpid()}"

pytestmark = [pytest.mark.live, pytest.mark.slow]

SPEC = """\
version: 1
project: PROJECT
variables:
  nodes: {type: integer, default: 3}
  token: {type: string, sensitive: true, default: planted-secret-4711}
providers:
  docker: {images: IMAGES, pull: false}
environments:
  ci: {target: docker}
resources:
  machines:
    kind: training_cluster
    engine: ray
    nodes: ${vars.nodes}
    resources: {cpus: 1, memory: 1500MB}
  count:
    kind: training_job
    cluster: ${machines}
    code: code
    run: python count.py
    env: {TOKEN: "${vars.token}", NODES: "${vars.nodes}"}
    outputs: [report]
outputs:
  nodes: ${count.metrics.nodes}
"""
COUNT = """\
import json, os, ray
ray.init()
print("my token is", os.environ["TOKEN"])
nodes = sum(node["Alive"] for node in ray.nodes())
with open(os.environ["MLINFRA_OUTPUT_REPORT"] + "/metrics.json", "w") as file:
    json.dump({"nodes": nodes}, file)
"""


def test_a_job_sees_every_node_and_the_cluster_shrinks_in_place(
    spec_folder: Callable[..., Path],
    run_mlinfra: Callable[..., Any],
    docker_api: Any,  # noqa: F811
) -> None:
    chosen = {"helper": images.ensure(docker_api, images.BASE), "ray": images.ensure(docker_api, parts.RAY)}
    text = SPEC.replace("PROJECT", PROJECT).replace("IMAGES", json.dumps(chosen))
    folder = spec_folder(text, {"code/count.py": COUNT})

    def nodes() -> dict[str, str]:
        listed = docker_api.containers(all=True, filters={"label": [f"mlinfra:project={PROJECT}", "mlinfra:cluster"]})
        return {c["Names"][0].rpartition("machines-")[2]: c["Id"] for c in listed}

    try:
        done = run_mlinfra(["apply", "--yes", "--env", "ci"], folder, timeout=600)
        assert done.code == 0, done.text
        assert "my token is (sensitive)" in done.text
        before = nodes()
        assert set(before) == {"head", "worker-1", "worker-2"}
        assert run_mlinfra(["output", "--raw", "nodes", "--env", "ci"], folder).out.strip() == "3"
        logged = docker_api.exec_start(
            docker_api.exec_create(
                before["head"], ["sh", "-c", "find /tmp/ray -type f -exec grep -l planted-secret-4711 {} + || true"]
            )["Id"]
        )
        assert logged == b"", "Ray wrote the secret down"
        done = run_mlinfra(["apply", "--yes", "--env", "ci", "--var", "nodes=2"], folder, timeout=600)
        assert done.code == 0, done.text
        assert nodes() == {name: before[name] for name in ("head", "worker-1")}
        assert run_mlinfra(["output", "--raw", "nodes", "--env", "ci"], folder).out.strip() == "2"
    finally:
        destroyed = run_mlinfra(["destroy", "--yes", "--env", "ci"], folder, timeout=600)
    assert destroyed.code == 0, destroyed.text
    assert nodes() == {}
