"""Runs one step or training job in a container of Vertex AI: ``python3 entry.py STEP RUN``.

``run.json`` beside it says what to run; the rest is done by ``mlinfra.provider.runs.container``. Buckets are mounted below /gcs:
https://cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUCKETS = Path(os.environ.get("MLINFRA_GCS_ROOT", "/gcs"))
sys.path.insert(0, str(HERE))

from mlinfra.provider.runs import container  # noqa: E402


def main(step: str, run: str) -> int:
    described = json.loads((HERE / "run.json").read_text())
    store = BUCKETS / described["place"]
    results = store / "results" / described["name"] / run
    places = container.Places(
        code=HERE / "code",
        inputs={name: BUCKETS / uri.removeprefix("gs://") for name, uri in described["steps"][step]["inputs"].items()},
        content=store / "content",
        results=results,
        above=results,
        kept=store / "content",
        uri=lambda digest: f"gs://{described['place']}/content/{digest}",
    )
    rank, world, head = ranks()
    return container.run(step, described, places, rank=rank, world=world, head=head)


def ranks() -> tuple[int, int, str]:
    """This process's rank, how many there are, and the first one's host:
    https://cloud.google.com/vertex-ai/docs/training/distributed-training"""
    spec = json.loads(os.environ.get("CLUSTER_SPEC") or "{}")
    pools = spec.get("cluster", {})
    hosts = [host for pool in sorted(pools) for host in pools[pool]]
    task = spec.get("task", {})
    before = sum(len(pools[p]) for p in sorted(pools) if p < task.get("type", ""))
    return before + int(task.get("index", 0)), max(1, len(hosts)), hosts[0].partition(":")[0] if hosts else "localhost"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
