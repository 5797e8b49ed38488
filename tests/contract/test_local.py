"""The local provider against the contract that every provider must meet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.model.values import Map, Secret
from mlinfra.provider.contract import FileDigest
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
from mlinfra_local.provider import LocalProvider

MODEL = {
    "MLmodel": "flavors:\n  python_function:\n    loader_module: contract_model\n    data: answer.txt\n    code: code\n",
    "answer.txt": "cat",
    "code/contract_model.py": """
class Model:
    def __init__(self, text):
        self.text = text

    def predict(self, data, params=None):
        return [self.text] * len(data)


def _load_pyfunc(path):
    with open(path) as file:
        return Model(file.read())
""",
}
TRAIN = """
import json, os, pathlib, sys
out = pathlib.Path(os.environ["MLINFRA_OUTPUT_MODEL"])
(out / "weights.txt").write_text(" ".join(sys.argv[1:]))
(out / "metrics.json").write_text(json.dumps({"rows": len(open(os.environ["MLINFRA_INPUT_ROWS"]).readlines())}))
"""
COPY = """
import os, pathlib, shutil
shutil.copy(os.environ["MLINFRA_INPUT_RAW"], pathlib.Path(os.environ["MLINFRA_OUTPUT_CLEAN"]) / "rows.csv")
"""
DIGEST = FileDigest("sha256:" + "0" * 64, 10, 1, True)
BUCKET = Map(kind="bucket", id="raw", name="raw", uri="local://buckets/raw")
REGISTRY = Map(kind="model_registry", id="registry", name="registry", uri="local://registries/registry")
CLUSTER = Map(kind="training_cluster", id="gpus", name="gpus", engine="managed", address="")
VERSION = Map(uri="local://registries/registry/models/router/abc", digest="sha256:abc", number=1)


def model_files(folder: str) -> Mapping[str, str]:
    return {f"{folder}/{name}": text for name, text in MODEL.items()}


def dataset(source: str) -> Any:
    return lambda w: w.lowered("dataset", {"bucket": BUCKET, "source": source, "name": "rows"})


def job(**more: Any) -> Any:
    properties = {
        "run": "python train.py",
        "code": "code",
        "inputs": {"rows": "rows.csv"},
        "env": {"TOKEN": Secret("planted-token")},
    }
    return lambda w: w.lowered("training_job", {**properties, **more})


def pipeline(run: str) -> Any:
    step = {"run": run, "inputs": {"raw": "rows.csv"}, "outputs": ("clean",), "env": {"TOKEN": Secret("planted-token")}}
    return lambda w: w.lowered("data_pipeline", {"code": "code", "steps": {"clean": step}})


def version(path: str, description: str = "") -> Any:
    def attributes(w: World) -> Mapping[str, Any]:
        content = w.digest(path).digest
        return {
            "registry": "registry",
            "model": "router",
            "version": "v1",
            "path": path,
            "content": content,
            "description": description,
            "tags": {},
        }

    return attributes


def endpoint(**weights: int) -> Any:
    def attributes(w: World) -> Mapping[str, Any]:
        variants = {name: {"model": name, "traffic": weight} for name, weight in weights.items()}
        return w.lowered("endpoint", {"variants": variants, "env": {"TOKEN": Secret("planted-token")}})

    return attributes


WITH_REGISTRY = {"registry": Given(type="local.registry", attributes={"name": "registry"})}
WITH_MODEL = {**WITH_REGISTRY, "model": Given(type="local.model", attributes={"registry": "registry", "name": "router"})}
WITH_VERSIONS = {
    **WITH_MODEL,
    "one": Given(type="local.model_version", attributes=version("one")),
    "two": Given(type="local.model_version", attributes=version("two")),
}


class TestLocal(ProviderContract):
    provider = LocalProvider()
    samples = (
        Sample(type="local.data", create={"input": {"a": [1, None, "x"]}}, update={"input": 2}, replace={"triggers_replace": 3}),
        Sample(
            type="local.bucket",
            create={"name": "raw", "versioning": True, "force_destroy": True},
            update={"name": "raw", "versioning": False, "force_destroy": True},
            replace={"name": "rawer"},
        ),
        Sample(
            type="local.dataset",
            needs={"bucket": Given(type="local.bucket", attributes={"name": "raw"})},
            files={"one.csv": "id\n1\n", "folder/a.csv": "id\n2\n", "folder/b.csv": "id\n3\n"},
            create=dataset("one.csv"),
            update=dataset("folder"),
        ),
        Sample(
            type="local.cluster",
            create=lambda w: w.lowered("training_cluster", {"resources": {"memory": 1000000}, "name": w.base.parent.name}),
            update=lambda w: w.lowered("training_cluster", {"resources": {"memory": 2000000}, "name": w.base.parent.name}),
        ),
        Sample(
            type="local.job",
            files={"code/train.py": TRAIN, "rows.csv": "id\n1\n"},
            create=job(),
            update=job(params={"C": 0.5}),
        ),
        Sample(
            type="local.pipeline",
            alone=False,  # named after its address
            files={"code/copy.py": COPY, "rows.csv": "id\n1\n"},
            create=pipeline("python copy.py"),
            update=pipeline("python copy.py again"),
        ),
        Sample(
            type="local.registry",
            create={"name": "registry", "description": "one", "ui": False},
            update={"name": "registry", "description": "two", "ui": False},
            replace={"name": "other"},
        ),
        Sample(
            type="local.model",
            needs=WITH_REGISTRY,
            create={"registry": "registry", "name": "router", "description": "one", "tags": {}},
            update={"registry": "registry", "name": "router", "description": "two", "tags": {"team": "search"}},
            replace={"registry": "registry", "name": "other"},
        ),
        Sample(
            type="local.model_version",
            needs=WITH_MODEL,
            files={**model_files("one"), **model_files("two"), "two/answer.txt": "dog"},
            create=version("one"),
            update=version("one", "better"),
            replace=version("two"),
        ),
        Sample(
            type="local.model_aliases",
            alone=False,  # a model's own address has one
            needs=WITH_VERSIONS,
            files={**model_files("one"), **model_files("two"), "two/answer.txt": "dog"},
            create={"registry": "registry", "model": "router", "aliases": {"champion": 1}},
            update={"registry": "registry", "model": "router", "aliases": {"champion": 2, "challenger": 1}},
        ),
        Sample(
            type="local.endpoint",
            files={**model_files("one"), **model_files("two"), "two/answer.txt": "dog"},
            create=endpoint(one=1),
            update=endpoint(one=90, two=10),
        ),
        Sample(type="local.milvus", create={"name": "vectors"}, replace={"name": "other"}),
    )
    portables = (
        Portable(kind="data", properties={"input": {"a": 1}}),
        Portable(kind="bucket", properties={"versioning": True}),
        Portable(kind="dataset", properties={"bucket": BUCKET, "source": "rows.csv"}, digests={("rows.csv", "data"): DIGEST}),
        Portable(
            kind="data_pipeline",
            properties={"steps": {"clean": {"run": "python clean.py", "outputs": ("clean",)}}, "schedule": "0 3 * * *"},
            digests={(".", "code"): DIGEST},
        ),
        Portable(kind="training_cluster", properties={"resources": {"cpus": 1, "memory": "1GB"}}),
        Portable(kind="training_job", properties={"run": "python train.py", "cluster": CLUSTER}, digests={(".", "code"): DIGEST}),
        Portable(kind="model_registry"),
        Portable(
            kind="model",
            properties={
                "registry": REGISTRY,
                "versions": {"v1": {"artifact": "local://runs/fit/abc"}},
                "aliases": {"champion": "v1"},
            },
        ),
        Portable(kind="endpoint", properties={"variants": {"champion": {"model": VERSION}}}),
        Portable(kind="vector_database", properties={"version": "2.6"}),
    )

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}
