"""Runs one step or training job in a container of Azure Machine Learning: ``python3 entry.py STEP RUN LEFT [--store=FOLDER] NAME=FOLDER…``.

LEFT is the environment's container, mounted to be written; ``--store`` the same, mounted after the steps before were done; NAME=FOLDER an
input. ``run.json`` beside this file says what to run; the rest is done by ``mlinfra.provider.runs.container``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from mlinfra.provider.runs import container  # noqa: E402


def main(step: str, run: str, left: str, *more: str) -> int:
    described = json.loads((HERE / "run.json").read_text())
    given = dict(word.split("=", 1) for word in more)
    store = Path(given.pop("--store", left))
    folder = f"results/{described['name']}/{run}"
    files = described["files"].get(step, {})
    places = container.Places(
        code=HERE / "code",
        inputs={name: Path(path) / files.get(name, "") for name, path in given.items()},
        content=Path(left) / "content",
        results=Path(left) / folder,
        above=store / folder,
        kept=store / "content",
        uri=lambda digest: f"{described['place']}/content/{digest}",
    )
    # what Azure tells the processes of a PyTorch job:
    # https://learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu#process-group-initialization
    rank, world = int(os.environ.get("NODE_RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    return container.run(step, described, places, rank=rank, world=world, head=os.environ.get("MASTER_ADDR", "localhost"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
