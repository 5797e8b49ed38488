"""A project folder with a pipeline in it, lowered and handed to ``local.pipeline`` as the engine would."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlinfra.kinds.data_pipeline import DataPipeline
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import Lowered, LoweringContext, ProviderContext
from mlinfra.provider.progress import listening
from mlinfra_local.client import LocalClient
from mlinfra_local.lowering.data_pipeline import lower
from mlinfra_local.resources.pipeline import Pipeline
from mlinfra_local.settings import LocalConfig

CLEAN = """
import csv, os, pathlib
rows = list(csv.DictReader(open(os.environ["MLINFRA_INPUT_RAW"])))
print("read", len(rows), "rows")
with open(pathlib.Path(os.environ["MLINFRA_OUTPUT_CLEAN"]) / "clean.csv", "w", newline="") as out:
    writer = csv.DictWriter(out, ["id", "label"])
    writer.writeheader()
    writer.writerows({"id": r["id"], "label": r["label"]} for r in rows)
"""

COUNT = """
import json, os, pathlib, sys
here = pathlib.Path(os.environ["MLINFRA_INPUT_CLEAN"]) / "clean.csv"
rows = len(here.read_text().splitlines()) - 1
print("token", os.environ.get("TOKEN", "none"))
(pathlib.Path(os.environ["MLINFRA_OUTPUT_COUNT"]) / "metrics.json").write_text(json.dumps({"count": rows}))
with open(os.environ["DIARY"], "a") as diary:
    diary.write("counted\\n")
"""

RAW = "id,label,notes\n1,cat,first\n2,dog,second\n3,cat,third\n"


@dataclass
class Project:
    """``diary`` is written to by every real run of the step ``count``."""

    base: Path
    spec: dict[str, Any] = field(default_factory=dict)
    recorded: ResourceState | None = None
    said: list[str] = field(default_factory=list)
    type: Pipeline = field(default_factory=Pipeline)

    def __post_init__(self) -> None:
        code = self.base / "steps"
        code.mkdir(parents=True, exist_ok=True)
        (code / "clean.py").write_text(CLEAN)
        (code / "count.py").write_text(COUNT)
        (self.base / "raw.csv").write_text(RAW)
        self.spec = {
            "code": "steps",
            "steps": {
                "clean": {"run": "python clean.py", "inputs": {"raw": "raw.csv"}, "outputs": ["clean"]},
                "check": {"needs": ["clean"], "expect": {"rows": ">= 3", "null_rate(label)": "< 0.01"}},
                "count": {
                    "run": "python count.py",
                    "needs": ["check"],
                    "outputs": ["count"],
                    "env": {"DIARY": str(self.diary)},
                },
            },
        }

    @property
    def diary(self) -> Path:
        return self.base / "diary.txt"

    @property
    def counted(self) -> int:
        return len(self.diary.read_text().splitlines()) if self.diary.exists() else 0

    @property
    def client(self) -> LocalClient:
        context = ProviderContext(project="p", environment="dev", base=self.base, data=self.base / ".mlinfra/local/dev")
        return LocalClient(LocalConfig(), context)

    def lowered(self) -> Lowered:
        kind = DataPipeline.model_validate(freeze(self.spec))
        digests = {(p.path, p.mode): files.digest(self.base, p.path, p.mode) for p in kind.local_paths()}
        component = Component(kind="data_pipeline", name="features", target="local", properties=freeze(self.spec))
        context = LoweringContext(component=component, project="p", environment="dev", provider="local", digests=digests)
        return lower(kind, context)

    def desired(self) -> Desired:
        (resource,) = self.lowered().resources
        return Desired(address="features", type="local.pipeline", attributes=resource.attributes)

    def apply(self, timeout: float | None = None) -> Map:
        """Create or update; the attributes that come back."""
        desired = self.desired()
        with listening(self.said.append):
            if self.recorded is None:
                observed = asyncio.run(self.type.create(self.client, desired, "0" * 32))
            else:
                observed = asyncio.run(self.type.update(self.client, self.recorded, desired))
        return self.remember(observed)

    def read(self) -> Map:
        assert self.recorded is not None
        observed = asyncio.run(self.type.read(self.client, self.recorded))
        assert observed is not None
        return observed.attributes

    def differences(self) -> set[str]:
        """Names of the attributes that a plan would change: wanted or predicted, and not as in the world."""
        wanted: Mapping[str, Any] = self.desired().attributes
        assert self.type.schema.predict is not None
        seen = self.read()
        predicted = self.type.schema.predict(Map(wanted))
        return {name for name, value in {**wanted, **predicted}.items() if seen.get(name) != value}

    def delete(self) -> None:
        if self.recorded is not None:
            asyncio.run(self.type.delete(self.client, self.recorded))
            self.recorded = None

    def remember(self, observed: Observed) -> Map:
        self.recorded = ResourceState(
            address="features", type="local.pipeline", provider="local", id=observed.id, attributes=observed.attributes
        )
        return observed.attributes
