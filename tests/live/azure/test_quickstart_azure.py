"""The quickstart on Azure: planned offline without credentials, applied against ARM's fake, a real Azurite and a real Milvus, with jobs that
really run; then changed, drifted, imported, destroyed until nothing is left."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live.aws.test_quickstart_aws import LIGHT, QUICKSTART, Stack, edit
from live.azure.world import World, settings_text, world
from live.milvus.world import lite_server

AWS = "    target: aws\n    providers: {aws: {region: eu-central-1}}"
ML = "Microsoft.MachineLearningServices"
NOWHERE = "{subscription: 11111111-2222-3333-4444-555555555555, location: westeurope}"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """Of the module, so that no test counts the servers as processes that it left behind."""
    folder = tmp_path_factory.mktemp("azure")
    with lite_server(folder / "milvus") as uri, world(folder) as found:
        yield found, uri


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".mlinfra"))
    return folder


@pytest.fixture
def stack(quickstart: Path, held: tuple[World, str], run_mlinfra: Callable[..., Any]) -> Stack:
    (quickstart / "training" / "train.py").write_text(LIGHT)
    settings = settings_text(held[0], location="westeurope", milvus_uri=held[1])
    edit(quickstart, AWS, f"    target: azure\n    providers: {{azure: {settings}}}")
    return Stack(quickstart, run_mlinfra, held[0].azure.environment)


def test_it_is_planned_offline_without_credentials(quickstart: Path, run_mlinfra: Callable[..., Any]) -> None:
    edit(quickstart, AWS, f"    target: azure\n    providers: {{azure: {NOWHERE}}}")
    nobody = {"AZURE_CLIENT_ID": "", "AZURE_TENANT_ID": "", "AZURE_CLIENT_SECRET": "", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = run_mlinfra(["plan", "--env", "prod", "--no-refresh"], quickstart, environment=nobody)
    assert done.code == 0, done.text
    assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy\.", done.out)
    assert "# azure_base.workspace will be created" in done.out
    cost = run_mlinfra(["cost", "--env", "prod", "--json"], quickstart, environment=nobody)
    assert cost.code == 0, cost.text
    assert json.loads(cost.out)["total"]["after"] > 0


def test_it_is_applied_changed_mended_and_destroyed(stack: Stack, held: tuple[World, str]) -> None:
    there, _ = held
    azure = there.azure

    def split() -> dict[str, int]:
        (endpoint,) = azure.of(f"{ML}/workspaces/onlineEndpoints")
        return {name.rpartition("-")[0]: share for name, share in endpoint["properties"]["traffic"].items()}

    applied = stack("apply", "--yes")
    outputs = json.loads(stack("output", "--json").out)
    assert outputs["accuracy"]["value"] >= 0.9, applied.text
    assert outputs["predict_url"]["value"].endswith(".inference.ml.azure.com/score")
    assert sorted(there.work.runs) == ["check", "clean", "embed", "fit-logistic", "fit-svm"]
    assert split() == {"champion": 90, "challenger": 10}
    stack.plans_nothing()

    # traffic changes in place: no other deployment, no job
    deployed = {d["name"] for d in azure.of(f"{ML}/workspaces/onlineEndpoints/deployments")}
    edit(stack.folder, "default: 10", "default: 25")
    assert {a: c["action"] for a, c in stack.changes().items()} == {"api.traffic": "update"}
    stack("apply", "--yes")
    assert split() == {"champion": 75, "challenger": 25}
    assert {d["name"] for d in azure.of(f"{ML}/workspaces/onlineEndpoints/deployments")} == deployed
    stack.plans_nothing()

    # another parameter: one job runs, its version is made anew, the new deployment stands before the old one goes
    edit(stack.folder, "default: 0.05", "default: 0.5")
    planned = stack.changes()
    assert planned["fit_logistic"]["runs"] and "fit_svm" not in planned and "features" not in planned
    asked = len(azure.requests)
    stack("apply", "--yes")
    assert there.work.runs[5:] == ["fit-logistic"]
    assert split() == {"champion": 75, "challenger": 25}
    assert_no_gap(azure.requests[asked:], deployed)
    assert len({d["name"] for d in azure.of(f"{ML}/workspaces/onlineEndpoints/deployments")} & deployed) == 1
    stack.plans_nothing()

    # drift: versions switched off, a dataset's blob gone, traffic moved by hand, a deployment's probe changed
    (service,) = azure.of("Microsoft.Storage/storageAccounts/blobServices")
    service["properties"]["isVersioningEnabled"] = False
    raw = there.container("quickstart-prod-raw")
    raw.delete_blob(next(b.name for b in raw.list_blobs() if b.name.endswith("digits.csv")))
    (endpoint,) = azure.of(f"{ML}/workspaces/onlineEndpoints")
    first = next(iter(endpoint["properties"]["traffic"]))
    endpoint["properties"]["traffic"] = {first: 100}
    drifted = stack("plan").out
    for said in (
        "raw.service (azure.blob_service) differs",
        "scans (azure.dataset) differs",
        "api.traffic (azure.traffic_split) differs",
    ):
        assert said in drifted
    stack("apply", "--yes")
    assert split() == {"champion": 75, "challenger": 25}
    stack.plans_nothing()

    # what the state has forgotten is taken in again by its id
    (registry,) = azure.of(f"{ML}/registries")
    stack("state", "rm", "registry")
    stack("import", "registry", registry["id"])
    assert stack.changes() == {}

    # nothing is destroyed by accident, and nothing is left behind on purpose
    refused = stack("destroy", "--yes", code=1)
    assert "protect" in refused.err
    stack("destroy", "--yes", "--allow-data-loss")
    assert azure.everything() == []
    assert [name for name in there.containers() if not name.startswith("reg-")] == []
    assert azure.invalid == []


def assert_no_gap(requests: list[Any], before: set[str]) -> None:
    """The new deployment is made, then the traffic moves to it, then the old one is deleted."""
    kinds = []
    for request in requests:
        if request.type == f"{ML}/workspaces/onlineEndpoints/deployments" and request.http in ("PUT", "DELETE"):
            kinds.append(f"{request.http} {'old' if request.path.rpartition('/')[2] in before else 'new'}")
        elif request.type == f"{ML}/workspaces/onlineEndpoints" and request.http in ("PUT", "PATCH"):
            kinds.append("traffic")
    assert kinds == ["PUT new", "traffic", "DELETE old"]
