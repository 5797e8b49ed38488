"""The GCP provider against the contract that every provider must meet, on a server that holds every request against Google's
discovery documents. No request may be refused as invalid, and nothing may be left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes.google import Google, google
from fakes.google.runner import run
from fakes.zilliz import PROJECT, FakeZilliz, zilliz
from fakes.zilliz import samples as zilliz_samples

from mlinfra.model.values import Map
from mlinfra.provider.contract import FileDigest
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
from mlinfra_gcp.provider import GcpProvider

P, L, Z = "acme-ml", "us-central1", "us-central1-a"
VM = {
    "name": "box",
    "machineType": f"zones/{Z}/machineTypes/e2-medium",
    "disks": ({"boot": True, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}},),
    "networkInterfaces": ({"network": "global/networks/default", "accessConfigs": ({"type": "ONE_TO_ONE_NAT"},)},),
    "labels": {"team": "ml"},
}
JOB = {
    "displayName": "fit",
    "jobSpec": {
        "workerPoolSpecs": (
            {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": {"imageUri": "python:3.11"}},
        )
    },
    "labels": {"team": "ml"},
}
PIPELINE = {
    "pipelineSpec": {"schemaVersion": "2.1.0", "root": {"dag": {"tasks": {}}}},
    "runtimeConfig": {"gcsOutputDirectory": "gs://b/runs"},
}
SERVED = {"imageUri": "python:3.11", "healthRoute": "/ping", "invokeRoutePrefix": "/*", "ports": ({"containerPort": 8080},)}
MODEL = {
    "name": "router",
    "displayName": "router",
    "artifactUri": "gs://b/m1",
    "containerSpec": SERVED,
    "digest": "sha256:" + "1" * 64,
}
DEPLOYED = {
    "name": "17",
    "machineSpec": {"machineType": "n1-standard-2"},
    "minReplicaCount": 1,
    "maxReplicaCount": 2,
    "displayName": "champion",
}
_SLOW = {"filter": 'metric.type="x"', "comparison": "COMPARISON_GT", "thresholdValue": 1.5, "duration": "60s"}
ALERT = {"displayName": "slow", "combiner": "OR", "conditions": ({"displayName": "p99", "conditionThreshold": _SLOW},)}
RUN = {
    "name": "hello",
    "template": {"containers": ({"image": "gcr.io/hello", "resources": {"limits": {"cpu": "1"}}},)},
    "labels": {"a": "b"},
}
SCHEDULED = {
    "name": "tick",
    "schedule": "0 3 * * *",
    "timeZone": "Europe/Berlin",
    "httpTarget": {"uri": "https://x.example", "httpMethod": "POST"},
}
_NODE = {"acceleratorType": "v5litepod-8", "runtimeVersion": "v2-alpha-tpuv5-lite"}
TPU = {"name": "slice", "tpu": {"nodeSpec": ({"parent": f"projects/{P}/locations/{Z}", "nodeId": "slice-0", "node": _NODE},)}}
SETTINGS = {"project": P, "region": L}
BUCKET = {"kind": "bucket", "id": "b", "name": "b", "uri": "gs://b"}
REGISTRY = {"kind": "model_registry", "id": "r", "name": "b", "uri": "gs://b", "tracking_uri": "", "ui": ""}
CLUSTER = {"kind": "training_cluster", "id": "g", "name": "g", "engine": "managed", "dashboard": "", "cpus": 4, "memory": 1, "nodes": 1,
           "accelerators": None, "address": "vertex://us-central1/n1-standard-8?accelerator=NVIDIA_TESLA_T4&count=1&spot=true&disk=200"}  # fmt: skip
RAY = {**CLUSTER, "engine": "ray", "address": "ray://10.0.0.2:10001", "dashboard": "http://10.0.0.2:8265"}
VERSION = {"uri": f"projects/{P}/locations/{L}/models/m@1", "digest": "sha256:1", "number": "1"}
DIGESTS = {
    (".", "code"): FileDigest("sha256:" + "1" * 64, 10, 1),
    ("rows.csv", "data"): FileDigest("sha256:" + "2" * 64, 10, 1, True),
}
ENDPOINT = Given(type="gcp.vertex_endpoint", attributes={"name": "api", "displayName": "api"})
A_MODEL = Given(type="gcp.vertex_model", attributes=MODEL)
_A100 = {"machineType": "a2-highgpu-1g", "acceleratorType": "NVIDIA_TESLA_A100", "acceleratorCount": 1}
POOL = {"resourcePools": ({"id": "gpus", "machineSpec": _A100, "replicaCount": 1},)}
NODE = {"machineType": "e2-medium", "disks": VM["disks"], "networkInterfaces": VM["networkInterfaces"]}
WEB = {
    "name": "web",
    "allowed": ({"IPProtocol": "tcp", "ports": ("80",)},),
    "sourceRanges": ("10.0.0.0/8",),
    "description": "web",
}
WIDER = {**WEB, "allowed": ({"IPProtocol": "tcp", "ports": ("80", "443")},), "description": "the web"}
STORE = Given(type="gcp.storage_bucket", attributes={"name": "acme-runs", "forceDestroy": True})
CLEAN = "import os, shutil; shutil.copy(os.environ['MLINFRA_INPUT_RAW'], os.environ['MLINFRA_OUTPUT_CLEAN'] + '/rows.csv')"
FIT = "import os, json; json.dump({'accuracy': 0.97}, open(os.environ['MLINFRA_OUTPUT_MODEL'] + '/metrics.json', 'w'))"
CODE = {"code/clean.py": CLEAN, "code/fit.py": FIT, "rows.csv": "id,label\n1,a\n2,b\n"}


def weights(one: int, two: int) -> Any:
    return ({"deployedModel": "1", "weight": one}, {"deployedModel": "2", "weight": two})


def job(w: World, **more: Any) -> dict[str, Any]:
    code = {"path": "code", "digest": w.digest("code", "code").digest}
    where = {"bucket": w["store"].attributes["name"], "parent": f"projects/{P}/locations/{L}", "image": "python:3.11"}
    run = {
        "run": "python fit.py",
        "outputs": ("model",),
        "expect": {"accuracy": ">= 0.9"},
        "machine": {"machineType": "n1-standard-4"},
    }
    return {"name": "fit", **where, "code": code, **run, **more}


def pipeline(w: World, **more: Any) -> dict[str, Any]:
    raw = {"uri": "rows.csv", "version": w.digest("rows.csv").digest}
    steps = {
        "clean": {"command": "python clean.py", "inputs": {"raw": raw}, "outputs": ("clean",)},
        "check": {"needs": ("clean",), "takes": {"clean": "clean.clean"}, "expect": {"rows": "== 2"}},
    }
    found = {k: v for k, v in job(w).items() if k in ("bucket", "parent", "image", "code")}
    return {"name": "features", **found, "steps": steps, **more}


def dataset(w: World, **more: Any) -> dict[str, Any]:
    found = w.digest("rows.csv")
    place = {"bucket": w["store"].attributes["name"], "name": "rows", "source": "rows.csv", "file": "rows.csv"}
    return {**place, "version": found.digest, "size": found.size, **more}


def deployed(w: World, **more: Any) -> dict[str, Any]:
    return {**DEPLOYED, "endpoint": w["endpoint"].id, "model": w["model"].id, **more}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Google, Path]]:
    folder = tmp_path_factory.mktemp("google")
    with google(folder) as state:
        state.runner = run
        yield state, state.credentials(folder)


def image(w: World, folder: str) -> dict[str, Any]:
    build = {"context": folder, "digest": w.digest(folder, "code").digest, "dockerfile": "Dockerfile"}
    return {"repository": f"{w['images'].attributes['uri']}/image", "tag": f"of-{folder}", "build": build}


IMAGES = Sample(
    type="gcp.image",
    needs={"images": Given(type="gcp.artifact_registry_repository", attributes={"name": "images", "format": "DOCKER"})},
    files={f"{n}/{f}": text for n in ("one", "two") for f, text in (("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", n))},
    create=lambda w: image(w, "one"),
    replace=lambda w: image(w, "two"),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The address of a registry beside Google's fake, which keeps no images; None where there is nothing to push from, or to."""
    from live.aws.images import registry
    from live.gcp.test_image_gcp import LOGIN

    with registry(tmp_path_factory.mktemp("images"), **LOGIN) as host:
        yield host


@pytest.fixture(scope="module")
def clusters() -> Iterator[FakeZilliz]:
    with zilliz(looks=1) as fake:
        yield fake


class TestGcp(ProviderContract):
    provider = GcpProvider()
    unsampled = Map({"gcp.ray_run": "every job of a real Ray head takes seconds: tests/live/gcp/test_ray_job_gcp.py"})
    samples = (
        Sample(
            type="gcp.storage_bucket",
            create={"name": "acme-raw", "labels": {"team": "ml"}, "versioning": {"enabled": False}, "forceDestroy": True},
            update={"name": "acme-raw", "labels": {"team": "data"}, "versioning": {"enabled": True}, "forceDestroy": True},
            replace={"name": "acme-raw2", "labels": {"team": "ml"}},
        ),
        Sample(
            type="gcp.service_account",
            create={"name": "trainer", "displayName": "Trainer", "description": "runs jobs"},
            update={"name": "trainer", "displayName": "Trainers", "description": "runs all jobs"},
            replace={"name": "trainer2"},
        ),
        Sample(
            type="gcp.project_iam_member",
            create={"role": "roles/aiplatform.user", "member": f"serviceAccount:trainer@{P}.iam.gserviceaccount.com"},
            replace={"role": "roles/storage.objectAdmin", "member": f"serviceAccount:trainer@{P}.iam.gserviceaccount.com"},
        ),
        Sample(
            type="gcp.artifact_registry_repository",
            create={"name": "images", "format": "DOCKER", "labels": {"team": "ml"}, "description": "images"},
            update={"name": "images", "format": "DOCKER", "labels": {"team": "data"}, "description": "all images"},
            replace={"name": "images", "format": "PYTHON"},
        ),
        Sample(
            type="gcp.compute_disk",
            create={"name": "data", "sizeGb": 50, "type": f"zones/{Z}/diskTypes/pd-ssd", "labels": {"team": "ml"}},
            update={"name": "data", "sizeGb": 50, "type": f"zones/{Z}/diskTypes/pd-ssd", "labels": {"team": "ml", "tier": "hot"}},
            replace={"name": "data", "sizeGb": 50, "type": f"zones/{Z}/diskTypes/pd-balanced"},
        ),
        Sample(
            type="gcp.compute_instance",
            create=VM,
            update={**VM, "labels": {"team": "data"}, "metadata": {"items": ({"key": "a", "value": "b"},)}, "tags": {"items": ("web",)}},
            replace={**VM, "machineType": f"zones/{Z}/machineTypes/e2-standard-4"},
        ),
        Sample(
            type="gcp.compute_instance_template",
            create={"name": "node-1", "properties": NODE},
            replace={"name": "node-2", "properties": {**NODE, "machineType": "e2-standard-4"}},
        ),
        Sample(
            type="gcp.compute_instance_group_manager",
            needs={"template": Given(type="gcp.compute_instance_template", attributes={"name": "node", "properties": {"machineType": "e2-medium"}})},
            create=lambda w: {"name": "nodes", "baseInstanceName": "node", "targetSize": 1, "instanceTemplate": w["template"].id},
            update=lambda w: {"name": "nodes", "baseInstanceName": "node", "targetSize": 3, "instanceTemplate": w["template"].id},
            replace=lambda w: {"name": "nodes", "baseInstanceName": "other", "targetSize": 1, "instanceTemplate": w["template"].id},
        ),
        Sample(
            type="gcp.compute_firewall",
            create=WEB,
            update=WIDER,
            replace={**WEB, "network": "global/networks/other"},
        ),
        Sample(
            type="gcp.compute_network",
            create={"name": "ml", "autoCreateSubnetworks": True, "routingConfig": {"routingMode": "REGIONAL"}},
            update={"name": "ml", "autoCreateSubnetworks": True, "routingConfig": {"routingMode": "GLOBAL"}},
            replace={"name": "ml", "autoCreateSubnetworks": False},
        ),
        Sample(type="gcp.tpu_queued_resource", create=TPU, replace={**TPU, "spot": {}}),
        Sample(
            type="gcp.vertex_endpoint",
            create={"name": "api", "displayName": "api", "labels": {"team": "ml"}},
            update={"name": "api", "displayName": "the api", "labels": {"team": "ml", "tier": "hot"}, "description": "answers"},
            replace={"name": "api", "displayName": "api", "dedicatedEndpointEnabled": True},
        ),
        Sample(
            type="gcp.vertex_model",
            create=MODEL,
            update={**MODEL, "labels": {"team": "ml"}, "versionDescription": "better"},
            replace={**MODEL, "artifactUri": "gs://b/m2", "digest": "sha256:" + "2" * 64},
        ),
        Sample(
            type="gcp.vertex_model_aliases",
            needs={"model": A_MODEL},
            create=lambda w: {"model": w["model"].id.partition("@")[0], "aliases": {"champion": "1"}},
            update=lambda w: {"model": w["model"].id.partition("@")[0], "aliases": {"challenger": "1"}},
        ),
        Sample(
            type="gcp.vertex_deployed_model",
            needs={"endpoint": ENDPOINT, "model": A_MODEL},
            create=deployed,
            update=lambda w: deployed(w, minReplicaCount=2, maxReplicaCount=4),
            replace=lambda w: deployed(w, name="18", machineSpec={"machineType": "n1-standard-4"}),
        ),
        Sample(
            type="gcp.vertex_traffic",
            needs={"endpoint": ENDPOINT, "model": A_MODEL,
                   "one": Given(type="gcp.vertex_deployed_model", attributes=lambda w: deployed(w, name="1")),
                   "two": Given(type="gcp.vertex_deployed_model", attributes=lambda w: deployed(w, name="2"))},
            create=lambda w: {"endpoint": w["endpoint"].id, "split": weights(90, 10)},
            update=lambda w: {"endpoint": w["endpoint"].id, "split": weights(40, 60)},
        ),
        Sample(type="gcp.vertex_custom_job", create=JOB, replace={**JOB, "displayName": "fit2"}),
        Sample(type="gcp.vertex_pipeline_job", create={"name": "run-1", **PIPELINE, "labels": {"a": "b"}}, replace={"name": "run-2", **PIPELINE}),
        Sample(
            type="gcp.vertex_schedule",
            create={"displayName": "nightly", "cron": "TZ=UTC 0 3 * * *", "maxConcurrentRunCount": 1,
                    "createPipelineJobRequest": {"parent": f"projects/{P}/locations/{L}", "pipelineJob": PIPELINE}},
            update={"displayName": "nightly", "cron": "TZ=UTC 0 4 * * *", "maxConcurrentRunCount": 1,
                    "createPipelineJobRequest": {"parent": f"projects/{P}/locations/{L}", "pipelineJob": {**PIPELINE, "displayName": "x"}}},
        ),
        Sample(
            type="gcp.vertex_persistent_resource",
            create={"name": "gpus", **POOL},
            update={"name": "gpus", **POOL, "displayName": "the gpus"},
            replace={"name": "gpus2", **POOL},
        ),
        Sample(type="gcp.run_service", create=RUN, update={**RUN, "description": "says hello"}, replace={**RUN, "name": "hello2"}),
        Sample(type="gcp.scheduler_job", create=SCHEDULED, update={**SCHEDULED, "schedule": "0 4 * * *", "description": "ticks"},
               replace={**SCHEDULED, "name": "tock"}),
        Sample(type="gcp.monitoring_alert_policy", create=ALERT, update={**ALERT, "displayName": "very slow", "userLabels": {"team": "ml"}}),
        Sample(type="gcp.secret", create={"name": "token", "labels": {"team": "ml"}, "payload": "s3cr3t-text"},
               update={"name": "token", "labels": {"team": "data"}, "payload": "s3cr3t-text-2"}, replace={"name": "token2"}),
        Sample(type="gcp.dataset", needs={"store": STORE}, files=CODE, create=dataset, replace=lambda w: dataset(w, name="rows2")),
        Sample(type="gcp.training_run", needs={"store": STORE}, files=CODE, create=job,
               update=lambda w: job(w, run="python fit.py --twice"), replace=lambda w: job(w, name="fit2")),
        Sample(type="gcp.pipeline_run", needs={"store": STORE}, files=CODE, create=pipeline, replace=lambda w: pipeline(w, name="more")),
        Sample(type="gcp.job_hardware", create={"name": "gpus", "machine": {"machineType": "n1-standard-4"}, "address": "vertex://x/y"},
               update={"name": "gpus", "machine": {"machineType": "n1-standard-8"}, "address": "vertex://x/z"}),
        *zilliz_samples("gcp.zilliz_cluster")[1:],
        IMAGES,
        Sample(type="gcp.reachable", create=lambda w: {"host": "127.0.0.1", "port": int(w.given["google"].address.rpartition(":")[2])}),
    )  # fmt: skip
    portables = (
        Portable(kind="bucket", properties={"versioning": True}, settings=SETTINGS),
        Portable(kind="dataset", properties={"bucket": BUCKET, "source": "rows.csv"}, settings=SETTINGS, digests=DIGESTS),
        Portable(kind="data_pipeline", properties={"steps": {"a": {"run": "python a.py", "outputs": ("x",)}}, "schedule": "@daily"},
                 settings=SETTINGS, digests=DIGESTS),
        Portable(kind="training_cluster", properties={"resources": {"accelerators": "T4:1"}, "nodes": {"min": 0, "max": 2}}, settings=SETTINGS),
        Portable(kind="training_cluster", name="standing", properties={"resources": {"accelerators": "A100:1"}, "nodes": 2}, settings=SETTINGS),
        Portable(kind="training_cluster", name="ray", properties={"engine": "ray", "nodes": 2, "resources": {"spot": True}}, settings=SETTINGS),
        Portable(kind="training_cluster", name="tpu", properties={"resources": {"accelerators": "TPU-v5e:8"}}, settings=SETTINGS),
        Portable(kind="training_job", properties={"run": "python fit.py", "cluster": CLUSTER}, settings=SETTINGS, digests=DIGESTS),
        Portable(kind="training_job", name="ray", properties={"run": "python fit.py", "cluster": RAY}, settings=SETTINGS, digests=DIGESTS),
        Portable(kind="model_registry", settings=SETTINGS),
        Portable(kind="model", properties={"registry": REGISTRY, "versions": {"v1": {"artifact": "gs://b/content/1"}, "v2": {"image": "x"}},
                                           "aliases": {"champion": "v1"}}, settings=SETTINGS),
        Portable(kind="endpoint", properties={"variants": {"a": {"model": VERSION, "traffic": 9}, "b": {"image": "x", "traffic": 1}},
                                              "replicas": {"min": 1, "max": 3}}, settings=SETTINGS),
        Portable(kind="vector_database", properties={"version": "2.6", "resources": {"disk": 200_000_000_000}}, settings=SETTINGS),
        Portable(kind="image", properties={"build": "."}, settings=SETTINGS, digests=DIGESTS),
        Portable(kind="vector_database", name="zilliz", properties={"engine": "zilliz", "zilliz": {"plan": "serverless"}}, settings=SETTINGS),
        Portable(kind="vector_database", name="open", settings={**SETTINGS, "allow": ("203.0.113.0/24",)}),
    )  # fmt: skip

    @pytest.fixture
    def given(
        self,
        sample: Sample,
        server: tuple[Google, Path],
        clusters: FakeZilliz,
        images: str | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Mapping[str, Any]]:
        state, credentials = server
        if sample is IMAGES and images is None:
            pytest.skip("no Docker engine, or no docker-registry, to push images to")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials))
        state.invalid.clear()
        yield {"google": state, "zilliz": clusters, "registry": images}
        assert clusters.invalid == []
        assert state.invalid == [], "a request that Google's documents do not allow"
        assert state.everything() == [], "something was left behind"

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = given["google"].settings()
        return {
            **found,
            "labels": {"cost": "ml"},
            "registry": given["registry"],
            "zilliz": given["zilliz"].settings(project=PROJECT),
        }
