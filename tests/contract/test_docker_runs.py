"""The contract, for the docker types that run code and serve: on a real engine. Skips where there is none."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from live.docker import images, parts
from live.docker.engine import docker_api  # noqa: F401  a fixture

from mlinfra.provider.contract import FileDigest, ResourceType
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
from mlinfra_docker.provider import DockerProvider

pytestmark = pytest.mark.xdist_group(
    "docker_contract"
)  # with test_docker.py: all worlds' stack is the same, and so is its network
OURS = ("docker.job", "docker.pipeline", "docker.hardware", "docker.ray", "docker.endpoint")
KINDS = ("training_job", "data_pipeline", "training_cluster", "endpoint")
DIGEST = FileDigest("sha256:" + "ab" * 32, 10, 1)


class Runs(DockerProvider):
    """The provider, less what another file samples; volumes stay, as what these types need."""

    types: Mapping[str, ResourceType] = {n: DockerProvider.types[n] for n in (*OURS, "docker.volume")}
    lowerings = {k: DockerProvider.lowerings[k] for k in KINDS}  # noqa: RUF012


VOLUME = {"runs": Given(type="docker.volume", attributes=lambda w: {"Name": f"{w.given['name']}-runs", "force_destroy": True})}


def job(w: World, rows: int) -> Mapping[str, Any]:
    return {
        "name": w.given["name"],
        "volume": w["runs"].id,
        "image": w.given["python"],
        "code": {"path": "code", "digest": w.digest("code", "code").digest},
        "run": "python writes.py",
        "params": {"rows": rows},
        "outputs": ("model",),
    }


def pipeline(w: World, rows: int) -> Mapping[str, Any]:
    return {
        "name": w.given["name"],
        "volume": w["runs"].id,
        "image": w.given["python"],
        "code": {"path": "code", "digest": w.digest("code", "code").digest},
        "steps": {
            "clean": {"command": f"python writes.py {rows}", "outputs": ("model",)},
            "check": {"needs": ("clean",), "takes": {"model": "clean.model"}, "expect": {"rows": rows}},
        },
        "run_on_apply": True,
        "ui": False,
    }


def endpoint(w: World, **traffic: int) -> Mapping[str, Any]:
    return {
        "name": w.given["name"],
        "image": w.given["python"],
        "proxy": w.given["haproxy"],
        "variants": {n: {"image": w.given["server"], "traffic": share, "shadow": False} for n, share in traffic.items()},
        "health": {"path": "/ping", "timeout": 60.0},
        "replicas": {"min": 1, "max": 1},
        "resources": {"memory": 100_000_000},
    }


CODE = {
    "code/writes.py": (
        "import json, os, sys\n"
        "with open(os.environ['MLINFRA_OUTPUT_MODEL'] + '/metrics.json', 'w') as file:\n"
        "    json.dump({'rows': int(sys.argv[-1])}, file)\n"
    )
}


class TestDockerRuns(ProviderContract):
    provider = Runs()
    samples = (
        Sample(
            type="docker.job",
            needs=VOLUME,
            files=CODE,
            create=lambda w: job(w, 1),
            update=lambda w: job(w, 2),
            alone=False,
        ),
        Sample(
            type="docker.pipeline",
            needs=VOLUME,
            files=CODE,
            create=lambda w: pipeline(w, 1),
            alone=False,
        ),
        Sample(
            type="docker.hardware",
            create={"name": "machine", "limits": {"cpus": 1.0}},
            update={"name": "machine", "limits": {"cpus": 1.0, "memory": 10**8}},
        ),
        Sample(type="docker.endpoint", create=lambda w: endpoint(w, one=1), update=lambda w: endpoint(w, one=9, two=1)),
    )
    unsampled: ClassVar[Mapping[str, str]] = {
        "docker.ray": "tests/live/docker/test_docker_cluster.py: a Ray head takes half a minute to start"
    }
    portables = (
        Portable(
            kind="data_pipeline",
            properties={"steps": {"clean": {"run": "python clean.py", "outputs": ("clean",)}}, "schedule": "0 3 * * *"},
            digests={(".", "code"): DIGEST},
        ),
        Portable(kind="training_cluster", properties={"resources": {"cpus": 1, "memory": "1GB"}}),
        Portable(kind="training_cluster", properties={"engine": "ray", "nodes": 3}, name="ray"),
        Portable(kind="training_job", properties={"run": "python train.py"}, digests={(".", "code"): DIGEST}),
        Portable(
            kind="training_job",
            properties={
                "run": "python train.py",
                "image": "acme/train:1",
                "cluster": {"kind": "training_cluster", "engine": "ray", "name": "gpus"},
            },
            digests={(".", "code"): DIGEST},
            name="ray",
        ),
        Portable(kind="endpoint", properties={"variants": {"champion": {"model": "docker://runs/model"}}}),
        Portable(kind="endpoint", properties={"variants": {"own": {"image": "acme/server:1"}}}, name="image"),
    )

    @pytest.fixture
    def given(self, docker_api: Any) -> Mapping[str, Any]:  # noqa: F811
        return {
            "name": f"mlinfra-contract-{uuid.uuid4().hex[:8]}",
            "python": images.ensure(docker_api, images.BASE),
            "haproxy": images.ensure(docker_api, parts.HAPROXY),
            "server": images.ensure(docker_api, parts.SERVER_IMAGE),
        }

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"images": {"helper": given["python"]}, "pull": False} if given else {}
