"""Azure's own types under the contract suite: runs whose jobs really run, datasets, registered versions, traffic; and every lowering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("azure.identity", reason="azure-identity is not installed")

from fakes.azure.server import SUBSCRIPTION
from fakes.zilliz import PROJECT, zilliz
from fakes.zilliz import samples as zilliz_samples
from live.azure.world import World as Held
from live.azure.world import world

from mlinfra.provider.contract import FileDigest, ResourceType
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
from mlinfra_azure import jobs
from mlinfra_azure.provider import AzureProvider

OURS = (
    "azure.dataset", "azure.text_files", "azure.training_run", "azure.pipeline_run", "azure.registered_version", "azure.traffic_split",
    "azure.reachable", "azure.zilliz_cluster",
)  # fmt: skip
_NEEDED = (
    "azure.resource_group", "azure.storage_account", "azure.storage_container", "azure.key_vault", "azure.ml_workspace", "azure.ml_datastore",
    "azure.user_assigned_identity", "azure.ml_compute", "azure.ml_environment", "azure.ml_environment_version", "azure.ml_component",
    "azure.ml_component_version", "azure.ml_registry", "azure.ml_model", "azure.ml_online_endpoint", "azure.ml_online_deployment",
)  # fmt: skip
_LOWERED = (
    "azure.role_assignment", "azure.blob_service", "azure.ml_data", "azure.ml_data_version", "azure.ml_schedule", "azure.arm", "azure.disk",
    "azure.virtual_network", "azure.subnet", "azure.network_security_group", "azure.public_ip", "azure.network_interface",
    "azure.virtual_machine", "azure.vm_scale_set", "azure.container_registry",
)  # fmt: skip


class Runs(AzureProvider):
    """The provider, less what another file samples: what these types need stays, and what the lowerings give."""

    types: Mapping[str, ResourceType] = {
        n: AzureProvider.types[n] for n in (*OURS, *_NEEDED, *_LOWERED, "azure.image", "azure.ray_run")
    }


CLEAN = "import os, shutil; shutil.copy(os.environ['MLINFRA_INPUT_RAW'], os.environ['MLINFRA_OUTPUT_CLEAN'] + '/rows.csv')"
FIT = "import os, json; json.dump({'accuracy': 0.97}, open(os.environ['MLINFRA_OUTPUT_MODEL'] + '/metrics.json', 'w'))"
CODE = {"code/clean.py": CLEAN, "code/fit.py": FIT, "rows.csv": "id,label\n1,a\n2,b\n", "router/MLmodel": "flavors: {}\n"}
SETTINGS = {"subscription": SUBSCRIPTION}
DIGESTS = {
    (".", "code"): FileDigest("sha256:" + "1" * 64, 10, 1),
    ("rows.csv", "data"): FileDigest("sha256:" + "2" * 64, 10, 1, True),
}


def _in(need: str, **attributes: Any) -> Any:
    return lambda w: {"parent": w[need].id, **attributes}


GROUP = {"group": Given(type="azure.resource_group", attributes={"name": "mlinfra-contract-test"})}
STORE = {
    **GROUP,
    "account": Given(
        type="azure.storage_account", attributes={"name": "acmeruns", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
    ),
    "store": Given(type="azure.storage_container", attributes=_in("account", name="acme-runs")),
}
WORKSPACE = {
    **STORE,
    "vault": Given(type="azure.key_vault", attributes={"name": "acme-vault", "sku": {"family": "A", "name": "standard"}}),
    "ws": Given(
        type="azure.ml_workspace",
        attributes=lambda w: {
            "name": "ml", "identity": {"type": "SystemAssigned"}, "storageAccount": w["account"].id, "keyVault": w["vault"].id,
        },
    ),
}  # fmt: skip
_HARDWARE = {"vmSize": "Standard_DS3_v2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 2}}
MACHINES = {
    **WORKSPACE,
    "datastore": Given(
        type="azure.ml_datastore",
        attributes=_in(
            "ws", name="runs", datastoreType="AzureBlob", accountName="acmeruns", containerName="acme-runs",
            credentials={"credentialsType": "None"},
        ),
    ),
    "who": Given(type="azure.user_assigned_identity", attributes={"name": "trainer"}),
    "compute": Given(type="azure.ml_compute", attributes=_in("ws", name="gpus", computeType="AmlCompute", properties=_HARDWARE)),
    "env": Given(type="azure.ml_environment", attributes=_in("ws", name="python")),
    "env1": Given(type="azure.ml_environment_version", attributes=_in("env", name="1", image="python:3.11", osType="Linux")),
}  # fmt: skip
STEPS = {
    "clean": {"command": "python clean.py", "inputs": {"raw": "rows.csv"}, "outputs": ("clean",)},
    "check": {"needs": ("clean",), "takes": {"clean": "clean.clean"}, "expect": {"rows": "== 2"}},
}


def _component(step: str) -> Any:
    return lambda w: {"parent": w[step].id, "name": "1", "componentSpec": jobs.component(step, STEPS[step], w["env1"].id)}


PIPELINE = {
    **MACHINES,
    **{step: Given(type="azure.ml_component", attributes=_in("ws", name=step)) for step in STEPS},
    **{f"{step}1": Given(type="azure.ml_component_version", attributes=_component(step)) for step in STEPS},
}
_DEPLOYED = {
    "endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "sku": {"name": "Default", "capacity": 1},
}  # fmt: skip
ENDPOINT = {
    **WORKSPACE,
    "env": MACHINES["env"],
    "env1": MACHINES["env1"],
    "endpoint": Given(type="azure.ml_online_endpoint", attributes=_in("ws", name="api", authMode="Key")),
    **{
        colour: Given(
            type="azure.ml_online_deployment",
            attributes=lambda w, colour=colour: {
                "parent": w["endpoint"].id,
                "name": colour,
                "environmentId": w["env1"].id,
                **_DEPLOYED,
            },
        )
        for colour in ("blue", "green")
    },
}
REGISTRY = {
    **GROUP,
    "registry": Given(
        type="azure.ml_registry",
        attributes={"name": "acme", "identity": {"type": "SystemAssigned"}, "regionDetails": ({"location": "eastus"},)},
    ),
    "model": Given(type="azure.ml_model", attributes=_in("registry", name="router")),
}


def where(w: World) -> dict[str, Any]:
    return {
        "bucket": w["store"].attributes["url"], "workspace": w["ws"].id, "paths": f"azureml:/{w['datastore'].id}/paths/",
        "identity": w["who"].id, "compute": w["compute"].id, "environment": w["env1"].id, "image": "python:3.11",
        "code": {"path": "code", "digest": w.digest("code", "code").digest},
    }  # fmt: skip


def job(w: World, **more: Any) -> dict[str, Any]:
    return {"name": "fit", **where(w), "run": "python fit.py", "outputs": ("model",), "expect": {"accuracy": ">= 0.9"}, **more}


def pipeline(w: World, **more: Any) -> dict[str, Any]:
    raw = {"uri": "rows.csv", "version": w.digest("rows.csv").digest}
    steps = {**STEPS, "clean": {**STEPS["clean"], "inputs": {"raw": raw}}}
    return {"name": "features", **where(w), "components": {step: w[f"{step}1"].id for step in STEPS}, "steps": steps, **more}


def dataset(w: World, **more: Any) -> dict[str, Any]:
    found = w.digest("rows.csv")
    place = {"bucket": w["store"].attributes["url"], "name": "rows", "source": "rows.csv", "file": "rows.csv"}
    return {**place, "version": found.digest, "size": found.size, **more}


def version(w: World, **more: Any) -> dict[str, Any]:
    source = {"path": "router", "digest": w.digest("router").digest}
    return {"model": w["model"].id, "key": "v1", "source": source, "tags": {"alias.champion": "true"}, **more}


def traffic(w: World, blue: int) -> dict[str, Any]:
    split = ({"deployment": "blue", "percent": blue}, {"deployment": "green", "percent": 100 - blue})
    return {"endpoint": w["endpoint"].id, "split": split}


MODEL = {"uri": "azureml://registries/r/models/m/versions/v1-1", "digest": "sha256:" + "1" * 64, "number": "v1-1"}
A_BUCKET = {"kind": "bucket", "id": "b", "name": "b", "uri": "https://acme.blob.core.windows.net/b"}
A_REGISTRY = {"kind": "model_registry", "id": "/r", "name": "r", "uri": "", "tracking_uri": "", "ui": ""}
A_CLUSTER = {"kind": "training_cluster", "id": "/g", "name": "g", "engine": "managed", "dashboard": "", "cpus": 4, "memory": 1, "nodes": 1,
             "accelerators": None, "address": "/g"}  # fmt: skip


UNSAMPLED = {
    **dict.fromkeys(_LOWERED, "tests/contract/test_azure.py samples it"),
    "azure.ray_run": "tests/live/azure/test_ray_job_azure.py runs it on a real Ray head",
    "azure.image": "tests/live/azure/test_image_azure.py pushes it; what the clouds' images share, tests/contract/test_aws.py samples",
}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with world(tmp_path_factory.mktemp("azure")) as found:
        yield found


class TestAzureRuns(ProviderContract):
    provider = Runs()
    unsampled = UNSAMPLED
    samples = (
        *zilliz_samples("azure.zilliz_cluster"),
        Sample(type="azure.dataset", needs=STORE, files=CODE, create=dataset, replace=lambda w: dataset(w, name="rows2")),
        Sample(type="azure.text_files", needs=STORE, create=lambda w: {"container": w["store"].attributes["url"], "files": {"Dockerfile": "FROM a"}},
               replace=lambda w: {"container": w["store"].attributes["url"], "files": {"Dockerfile": "FROM b"}}),
        Sample(type="azure.training_run", needs=MACHINES, files=CODE, create=job, update=lambda w: job(w, run="python fit.py --twice"),
               replace=lambda w: job(w, name="fit2")),
        Sample(type="azure.pipeline_run", needs=PIPELINE, files=CODE, create=pipeline, replace=lambda w: pipeline(w, name="more")),
        Sample(type="azure.registered_version", needs=REGISTRY, files=CODE, create=version,
               update=lambda w: version(w, tags={"alias.challenger": "true"}, description="better"), replace=lambda w: version(w, key="v2")),
        Sample(type="azure.traffic_split", needs=ENDPOINT, create=lambda w: traffic(w, 90), update=lambda w: traffic(w, 75)),
        Sample(type="azure.reachable", create=lambda w: {"host": "127.0.0.1", "port": int(w.given["held"].azure.address.rpartition(":")[2])}),
    )  # fmt: skip
    portables = (
        Portable(kind="bucket", properties={"versioning": True}, settings=SETTINGS),
        Portable(kind="dataset", properties={"bucket": A_BUCKET, "source": "rows.csv"}, settings=SETTINGS, digests=DIGESTS),
        Portable(kind="data_pipeline", properties={"steps": {"a": {"run": "python a.py", "outputs": ("x",)}}, "schedule": "@daily"},
                 settings=SETTINGS, digests=DIGESTS),
        Portable(kind="training_cluster", properties={"resources": {"accelerators": "T4:1"}, "nodes": {"min": 0, "max": 2}}, settings=SETTINGS),
        Portable(kind="training_cluster", name="ray", properties={"engine": "ray", "nodes": 2, "resources": {"spot": True}}, settings=SETTINGS),
        Portable(kind="training_job", properties={"run": "python fit.py", "cluster": A_CLUSTER}, settings=SETTINGS, digests=DIGESTS),
        Portable(kind="model_registry", settings=SETTINGS),
        Portable(kind="model", properties={"registry": A_REGISTRY, "versions": {"v1": {"artifact": "https://a.blob.core.windows.net/c/m"},
                                           "v2": {"image": "x"}}, "aliases": {"champion": "v1"}}, settings=SETTINGS),
        Portable(kind="endpoint", properties={"variants": {"a": {"model": MODEL, "traffic": 9}, "b": {"image": "x", "traffic": 1}},
                                              "replicas": {"min": 1, "max": 3}}, settings=SETTINGS),
        Portable(kind="vector_database", properties={"version": "2.6", "resources": {"disk": 200_000_000_000}}, settings=SETTINGS),
        Portable(kind="vector_database", name="zilliz", properties={"engine": "zilliz"}, settings=SETTINGS),
        Portable(kind="image", properties={"source": "python:3.11"}, settings=SETTINGS),
        Portable(kind="vector_database", name="open", settings={**SETTINGS, "allow": ("203.0.113.0/24",)}),
    )  # fmt: skip

    @pytest.fixture
    def given(self, held: Held, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, Any]]:
        for name, value in held.azure.environment.items():
            monkeypatch.setenv(name, value)
        held.azure.invalid.clear()
        held.azure.deleted.clear()
        with zilliz(looks=1) as clusters:
            yield {"held": held, "zilliz": clusters}
            assert clusters.invalid == []
        assert held.azure.invalid == [], "a request that ARM's published types do not allow"
        assert held.azure.everything() == [], "something was left behind"

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**given["held"].azure.settings(), "purge": True, "zilliz": given["zilliz"].settings(project=PROJECT)}
