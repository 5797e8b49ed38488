"""What the portable kinds become on GCP, and what GCP cannot do: each with the nearest that it can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mlinfra.kinds import catalog
from mlinfra.model.component import Component
from mlinfra.model.values import Map, freeze
from mlinfra.provider.contract import FileDigest, Lowered, LoweringContext, LoweringError
from mlinfra_gcp.provider import GcpProvider
from mlinfra_gcp.resources.pipeline_run import pipeline_spec

VERSION = {"uri": "projects/acme-ml/locations/us-central1/models/m@1", "digest": "sha256:1", "number": "1"}


def lower(kind: str, properties: Mapping[str, Any], **settings: Any) -> Lowered:
    frozen = Map(freeze(dict(properties)))
    context = LoweringContext(
        component=Component(kind=kind, name="x", target="gcp", properties=frozen, tags=Map(team="ML Team")),
        project="tickets",
        environment="prod",
        provider="gcp",
        settings=Map(freeze({"project": "acme-ml", "region": "us-central1", **settings})),
        digests={(".", "code"): FileDigest("sha256:" + "1" * 64, 1, 1)},
    )
    return GcpProvider().lowerings[kind](catalog.kind(kind).model_validate(dict(frozen)), context)


ONE = {"variants": {"a": {"model": VERSION}}}
SHADOW = {"variants": {"a": {"model": VERSION}, "b": {"model": VERSION, "shadow": True}}}


def types(lowered: Lowered) -> list[str]:
    return [f"{r.address} {r.type}" for r in lowered.resources]


def test_a_bucket_is_private_and_its_name_belongs_to_the_project() -> None:
    bucket = lower("bucket", {}).resources[0].attributes
    assert bucket["name"] == "acme-ml-tickets-prod-x"
    assert bucket["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert bucket["labels"]["team"].startswith("ml-team-")


def test_an_endpoint_is_deployed_beside_what_serves_and_traffic_moves_last() -> None:
    found = lower("endpoint", {"variants": {"a": {"model": VERSION, "traffic": 9}, "b": {"model": VERSION, "traffic": 1}}})
    assert types(found) == [
        "x gcp.vertex_endpoint", 'x.variant["a"] gcp.vertex_deployed_model', 'x.variant["b"] gcp.vertex_deployed_model',
        "x.traffic gcp.vertex_traffic",
    ]  # fmt: skip
    assert [s["weight"] for s in found.resources[-1].attributes["split"]] == [9, 1]


@pytest.mark.parametrize(
    ("properties", "code", "path", "hint"),
    [
        (SHADOW, "gcp.no_shadow", ("variants", "b", "shadow"), "traffic: 5"),
        ({**ONE, "replicas": {"min": 0, "max": 2}}, "gcp.no_scale_to_zero", ("replicas", "min"), "gcp.run_service"),
        ({**ONE, "sticky": "x-user"}, "gcp.no_sticky", ("sticky",), "in front"),
        ({**ONE, "env": {"A": "b"}}, "gcp.variant_env", ("env",), "containerSpec"),
        ({**ONE, "resources": {"accelerators": "H100:3"}}, "hardware.nothing_fits", ("resources", "accelerators"), "near"),
    ],
)  # fmt: skip
def test_what_vertex_cannot_do_is_an_error_with_an_alternative(
    properties: dict[str, Any], code: str, path: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(LoweringError) as caught:
        lower("endpoint", properties)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.path) == (code, path) and hint in problem.hint


@pytest.mark.parametrize(
    ("properties", "expected", "attributes"),
    [
        ({"resources": {"accelerators": "T4:1", "spot": True}, "nodes": {"min": 0, "max": 4}}, ["x gcp.job_hardware"],
         {"address": "vertex://us-central1/n1-standard-4?accelerator=NVIDIA_TESLA_T4&count=1&spot=true"}),
        ({"resources": {"accelerators": "A100:8"}, "nodes": 2}, ["x gcp.vertex_persistent_resource"], {"name": "tickets-prod-x"}),
        ({"resources": {"accelerators": "TPU-v5e:8", "spot": True}}, ["x gcp.tpu_queued_resource"], {"spot": Map()}),
        ({"resources": {"accelerators": "TPU-v6e:4"}, "nodes": {"min": 0}}, ["x gcp.job_hardware"],
         {"machine": Map(machineType="ct6e-standard-4t", tpuTopology="2x2"), "address": "vertex://us-central1/ct6e-standard-4t?topology=2x2"}),
        ({"engine": "ray", "nodes": 3}, ["x.inside gcp.compute_firewall", "x.head gcp.compute_instance",
                                         "x.template gcp.compute_instance_template", "x gcp.compute_instance_group_manager"], {"targetSize": 3}),
    ],
)  # fmt: skip
def test_a_cluster_is_what_fits_its_engine(properties: dict[str, Any], expected: list[str], attributes: dict[str, Any]) -> None:
    found = lower("training_cluster", properties)
    assert types(found) == expected
    main = next(r for r in found.resources if r.address == "x")
    assert {k: main.attributes[k] for k in attributes} == attributes


def test_what_vertex_brings_up_no_tpu_for_names_what_it_does() -> None:
    nodes = {"min": 0, "max": 1}
    for resources, path in (
        ({"accelerators": "TPU-v5p:4"}, "accelerators"),
        ({"accelerators": "TPU-v5e:8", "spot": True}, "spot"),
    ):
        with pytest.raises(LoweringError) as caught:
            lower("training_cluster", {"resources": resources, "nodes": nodes})
        (problem,) = caught.value.diagnostics
        assert problem.path == ("resources", path) and "nodes: 1" in problem.hint and "v5litepod-8" in problem.hint


def test_a_ray_cluster_with_gpus_installs_their_driver_and_is_named_by_its_content() -> None:
    cluster = {"engine": "ray", "resources": {"accelerators": "T4:2"}, "nodes": 2}
    found = {r.address: r.attributes for r in lower("training_cluster", cluster).resources}
    template = found["x.template"]["properties"]
    assert template["guestAccelerators"] == (Map(acceleratorType="nvidia-tesla-t4", acceleratorCount=2),)
    script = template["metadata"]["items"][0]["value"]
    assert "cos-extensions install gpu" in script and "--device $d" in script
    assert "--address=tickets-prod-x-head.us-central1-a.c.acme-ml.internal:6379" in script
    assert template["reservationAffinity"] == Map(consumeReservationType="ANY_RESERVATION")
    spot = {
        r.address: r.attributes
        for r in lower("training_cluster", {**cluster, "resources": {"accelerators": "T4:2", "spot": True}}).resources
    }
    assert "reservationAffinity" not in spot["x.template"]["properties"]
    other = lower("training_cluster", cluster, images={"ray": "mirror/ray:2"}).resources[2].attributes
    assert other["name"] != found["x.template"]["name"]


def test_a_ray_cluster_is_reached_from_the_ranges_that_are_allowed() -> None:
    found = lower("training_cluster", {"engine": "ray", "nodes": 2}, allow=["203.0.113.0/24"])
    (rule,) = [r.attributes for r in found.resources if r.address == "x.firewall"]
    assert rule["sourceRanges"] == ("203.0.113.0/24",) and rule["allowed"][0]["ports"] == ("8265", "10001")
    assert "externalIp" in repr(found.outputs["dashboard"])


def test_a_pipeline_is_compiled_in_the_order_of_its_needs() -> None:
    steps = {
        "a": {"run": "python a.py", "outputs": ["x"]},
        "b": {"run": "python b.py", "needs": ["a"], "retries": 2, "env": {"N": 3}},
    }
    found = lower("data_pipeline", {"steps": steps, "schedule": "@daily", "timezone": "Europe/Berlin"})
    assert types(found) == ["x.bucket gcp.storage_bucket", "x gcp.pipeline_run", "x.schedule gcp.vertex_schedule"]
    assert found.resources[2].attributes["cron"] == "TZ=Europe/Berlin 0 0 * * *"
    spec = pipeline_spec(Map({**found.resources[1].attributes, "bucket": "runs"}), "code/1.tar.gz")
    tasks = spec["root"]["dag"]["tasks"]
    assert (
        tasks["b"]["dependentTasks"] == ["a"]
        and tasks["b"]["retryPolicy"] == {"maxRetryCount": 2}
        and "dependentTasks" not in tasks["a"]
    )
    assert spec["deploymentSpec"]["executors"]["exec-b"]["container"]["env"] == [{"name": "N", "value": "3"}]


def test_milvus_keeps_its_data_on_a_disk_that_outlives_the_machine() -> None:
    found = lower("vector_database", {"version": "2.6"}, allow=["203.0.113.0/24"])
    assert types(found) == [
        "x.disk gcp.compute_disk",
        "x gcp.compute_instance",
        "x.firewall gcp.compute_firewall",
        "x.ready gcp.reachable",
    ]
    data = found.resources[1].attributes["disks"][1]
    assert data["autoDelete"] is False and "milvusdb/milvus:v2.6" in str(found.resources[1].attributes["metadata"])
    assert found.resources[2].attributes["sourceRanges"] == ("203.0.113.0/24",)


def test_a_job_takes_the_hardware_from_its_cluster() -> None:
    cluster = {
        "kind": "training_cluster",
        "name": "g",
        "address": "vertex://us-central1/n1-standard-8?accelerator=NVIDIA_TESLA_T4&count=2&spot=true&disk=200",
    }
    run = lower("training_job", {"run": "python fit.py", "cluster": cluster}).resources[1].attributes
    assert run["machine"] == Map(machineType="n1-standard-8", acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=2)
    assert (run["disk"], run["scheduling"]) == (200, Map(strategy="SPOT"))
    tpu = {**cluster, "address": "vertex://us-central1/ct5lp-hightpu-8t?topology=2x4"}
    run = lower("training_job", {"run": "python fit.py", "cluster": tpu}).resources[1].attributes
    assert run["machine"] == Map(machineType="ct5lp-hightpu-8t", tpuTopology="2x4")
    with pytest.raises(LoweringError, match="TPU slice"):
        lower("training_job", {"run": "python fit.py", "cluster": {**cluster, "address": "tpu://us-central1-a/g"}})


def test_a_job_of_a_ray_cluster_is_submitted_to_its_head() -> None:
    ray = {
        "kind": "training_cluster",
        "name": "g",
        "engine": "ray",
        "address": "ray://10.0.0.2:10001",
        "dashboard": "http://10.0.0.2:8265",
    }
    found = lower("training_job", {"run": "python fit.py", "cluster": ray})
    assert types(found) == ["x.bucket gcp.storage_bucket", "x gcp.ray_run"]
    assert found.resources[1].attributes["dashboard"] == "http://10.0.0.2:8265"
    tunnel = lower("training_job", {"run": "python fit.py", "cluster": ray}, ray_dashboard="http://127.0.0.1:8265")
    assert tunnel.resources[1].attributes["dashboard"] == "http://127.0.0.1:8265"
    with pytest.raises(LoweringError, match="one driver"):
        lower("training_job", {"run": "python fit.py", "cluster": ray, "processes": 2})
