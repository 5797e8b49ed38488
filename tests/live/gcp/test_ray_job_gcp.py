"""A training job on a Ray cluster of Compute Engine, applied: a real Ray head stands in for the machine (by the setting ``ray_dashboard``), the
job's files are in Google's fake, and its token comes from the metadata server as a machine's does."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.google import Google
from live.gcp.conftest import Stack
from live.servers.ray_head import ray_head

from mlinfra.provider.runs import ray_api

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = [pytest.mark.live, pytest.mark.slow]

TRAIN = """
import json, os, sys, ray
ray.init(log_to_driver=False)
rows = open(os.environ["MLINFRA_INPUT_TRAIN"]).read().split()
squares = ray.get([ray.remote(lambda n: n * n).remote(int(r)) for r in rows])
print("trained on", len(rows), "rows")
folder = os.environ["MLINFRA_OUTPUT_MODEL"]
open(folder + "/model.txt", "w").write(f"{sum(squares)} {sys.argv[1:]}")
json.dump({"loss": sum(squares) / 10}, open(folder + "/metrics.json", "w"))
"""


def resources(**job: Any) -> dict[str, Any]:
    cluster = {"kind": "training_cluster", "engine": "ray", "nodes": 1}
    fit = {
        "kind": "training_job", "cluster": "${gpus}", "run": "python train.py", "params": {"epochs": 3}, "outputs": ["model"],
        "inputs": {"train": "rows.txt"}, **job,
    }  # fmt: skip
    return {"gpus": cluster, "fit": fit}


def test_a_job_runs_on_the_cluster_and_what_it_leaves_is_kept_in_the_bucket(state: Google, stack: Stack) -> None:
    (stack.folder / "train.py").write_text(TRAIN)
    (stack.folder / "rows.txt").write_text("1 2 3\n")
    machine = {"GCE_METADATA_HOST": state.address.removeprefix("http://"), "STORAGE_EMULATOR_HOST": state.address}
    with ray_head(machine) as dashboard:

        def apply(code: int = 0, **job: Any) -> str:
            stack.write(resources(**job), ray_dashboard=dashboard)
            return stack.run("apply", "--yes", code=code)

        apply(expect={"loss": "< 2"})
        (model,) = (state.folder / "gcs").rglob("model.txt")
        assert model.read_text() == "14 ['--epochs', '3']" and model.parent.parent.name == "content"
        stack.run("plan", "--detailed-exitcode")
        assert len(ray_api.submissions(dashboard, "")) == 1

        broken = apply(1, run="python -c 'print(1/0)'", inputs={})
        assert "exit code 1" in broken and "mlinfra.yaml:" in broken
        missed = apply(1, expect={"loss": "< 1"})
        assert "loss" in missed

        stack.run("destroy", "--yes")
        assert ray_api.submissions(dashboard, "") == {}
    assert state.everything() == [] and state.invalid == []
