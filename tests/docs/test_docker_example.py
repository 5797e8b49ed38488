"""examples/docker-rag is the quickstart's spec with another target and other sizes; tests/live runs that spec on a real engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"


def _resources(name: str) -> dict[str, Any]:
    text = (EXAMPLES / name / "mlinfra.yaml").read_text().replace("../quickstart/", "")
    found: dict[str, Any] = yaml.safe_load(text)["resources"]
    return {key: {k: v for k, v in block.items() if k != "resources"} for key, block in found.items()}


def test_nothing_but_the_target_and_the_sizes_differs_from_the_quickstart() -> None:
    assert _resources("docker-rag") == _resources("quickstart")
    environments = yaml.safe_load((EXAMPLES / "docker-rag" / "mlinfra.yaml").read_text())["environments"]
    assert [e["target"] for e in environments.values()] == ["docker"]


def test_it_is_lowered_to_containers_and_volumes(run_mlinfra: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("docker", reason="the Docker SDK is not installed")
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns(".mlinfra"))
    folder = tmp_path / "examples" / "docker-rag"
    assert run_mlinfra(["validate"], folder).code == 0
    said = run_mlinfra(["plan"], folder, environment={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}).text
    for type in (
        "docker.volume",
        "docker.dataset",
        "docker.pipeline",
        "docker.mlflow",
        "docker.model_version",
        "docker.endpoint",
    ):
        assert f"  + {type}" in said, said
    assert "  + docker.milvus" in said and "  + milvus.collection" in said
