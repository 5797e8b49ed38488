"""What the portable kinds become on Azure, and what Azure cannot do: each with the nearest that it can."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from mlinfra.kinds import catalog
from mlinfra.model.component import Component
from mlinfra.model.values import Map, Ref, freeze
from mlinfra.provider.contract import FileDigest, Lowered, LoweringContext, LoweringError
from mlinfra_azure.lowering.endpoint import _percents
from mlinfra_azure.provider import AzureProvider

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/mlinfra-tickets-prod"
VERSION = {
    "uri": "azureml://registries/r/models/m/versions/v1-0123456789ab",
    "digest": "sha256:" + "ab" * 32,
    "number": "v1-0123456789ab",
}


def lower(kind: str, properties: Mapping[str, Any], name: str = "x", **settings: Any) -> Lowered:
    frozen = Map(freeze(dict(properties)))
    context = LoweringContext(
        component=Component(kind=kind, name=name, target="azure", properties=frozen),
        project="tickets",
        environment="prod",
        provider="azure",
        settings=Map(freeze({"subscription": SUBSCRIPTION, "location": "westeurope", **settings})),
        digests={
            (".", "code"): FileDigest("sha256:" + "1" * 64, 1, 1),
            ("data.csv", "data"): FileDigest("sha256:" + "2" * 64, 9, 1, True),
        },
    )
    return AzureProvider().lowerings[kind](catalog.kind(kind).model_validate(dict(frozen)), context)


def own(lowered: Lowered) -> dict[str, str]:
    """The component's own resources; what all share is looked at apart."""
    return {r.address: r.type for r in lowered.resources if r.component == "x"}


def shared(lowered: Lowered) -> list[str]:
    return sorted({r.address for r in lowered.resources if r.component == "azure_base"})


def of(lowered: Lowered, address: str) -> Any:
    return next(r for r in lowered.resources if r.address == address)


def test_a_bucket_is_a_container_in_an_account_of_its_own() -> None:
    found = lower("bucket", {"versioning": True})
    assert own(found) == {"x.account": "azure.storage_account", "x.service": "azure.blob_service", "x": "azure.storage_container"}
    account = of(found, "x.account").attributes
    assert account["allowBlobPublicAccess"] is False and account["minimumTlsVersion"] == "TLS1_2"
    assert of(found, "x.service").attributes["isVersioningEnabled"] is True
    assert shared(found) == ["azure_base.group"]


@pytest.mark.parametrize("name", ["x", "a_rather_long_name_of_a_bucket", "y"])
def test_an_account_s_name_is_the_world_s_own(name: str) -> None:
    here = of(lower("bucket", {}, name), f"{name}.account").attributes["name"]
    other = of(lower("bucket", {}, name, subscription=SUBSCRIPTION.replace("1", "9")), f"{name}.account").attributes["name"]
    assert here.isalnum() and here.islower() and 3 <= len(here) <= 24
    assert here != other


def test_what_an_environment_shares_is_the_same_for_every_component() -> None:
    job = lower("training_job", {"run": "python train.py"})
    pipeline = lower("data_pipeline", {"steps": {"clean": {"run": "python clean.py"}}})
    common = set(shared(job)) & set(shared(pipeline))
    assert common == {
        *(f"azure_base.{r}" for r in ("group", "storage", "content", "identity", "vault", "workspace", "datastore", "compute")),
        *(
            f"azure_base.may_{r}"
            for r in ("storage_blob_data_contributor", "acrpull", "azureml_data_scientist", "azureml_registry_user")
        ),
    }
    for address in common:
        assert of(job, address) == of(pipeline, address)


def test_a_group_a_workspace_and_an_identity_that_are_given_are_not_made() -> None:
    identity = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ours"
    found = lower("training_job", {"run": "python train.py"}, resource_group="ml", workspace="team", identity=identity)
    assert shared(found) == [f"azure_base.{r}" for r in ("compute", "content", "datastore", "storage")]
    workspace = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/team"
    assert of(found, "x").attributes["workspace"] == workspace
    assert of(found, "x").attributes["identity"] == identity
    assert of(found, "azure_base.datastore").attributes["name"] == "tickets_prod"


def test_a_dataset_is_blobs_and_a_data_asset_named_by_its_digest() -> None:
    found = lower(
        "dataset",
        {"bucket": {"kind": "bucket", "name": "raw", "uri": "https://a.blob.core.windows.net/raw"}, "source": "data.csv"},
    )
    assert own(found) == {"x": "azure.dataset", "x.asset": "azure.ml_data", "x.version": "azure.ml_data_version"}
    assert of(found, "x").attributes["bucket"] == "https://a.blob.core.windows.net/raw"
    version = of(found, "x.version").attributes
    assert (version["name"], version["dataType"], version["dataUri"]) == ("2" * 16, "uri_file", Ref("x", ("uri",)))


def test_a_cluster_of_azure_ml_scales_to_none_while_idle() -> None:
    found = lower("training_cluster", {"resources": {"accelerators": "T4", "spot": True}, "nodes": {"min": 0, "max": 4}})
    assert own(found) == {"x": "azure.ml_compute"}
    properties = of(found, "x").attributes["properties"]
    assert (properties["vmSize"], properties["vmPriority"]) == ("Standard_NC4as_T4_v3", "LowPriority")
    assert properties["scaleSettings"] == {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT5M"}
    assert (
        lower("training_cluster", {"nodes": {"min": 2, "max": 2}})
        .resources[-1]
        .attributes["properties"]["scaleSettings"]["minNodeCount"]
        == 2
    )


def test_a_ray_cluster_is_a_head_and_a_scale_set_that_knows_it_by_name() -> None:
    found = lower("training_cluster", {"engine": "ray", "nodes": 3, "resources": {"accelerators": "T4", "spot": True}})
    assert own(found) == {
        "x.head_firewall": "azure.network_security_group", "x.head_nic": "azure.network_interface",
        "x.head": "azure.virtual_machine", "x": "azure.vm_scale_set",
    }  # fmt: skip
    workers = of(found, "x").attributes
    assert workers["sku"] == {"name": "Standard_NC4as_T4_v3", "capacity": 3}
    assert workers["virtualMachineProfile"]["priority"] == "Spot"
    script = base64.b64decode(workers["virtualMachineProfile"]["osProfile"]["customData"]).decode()
    assert "--address=tickets-prod-x-head:6379" in script and "--gpus all" in script
    assert of(found, "x.head").attributes["osProfile"]["computerName"] == "tickets-prod-x-head"


def test_milvus_keeps_its_data_on_a_disk_that_outlives_the_machine() -> None:
    found = lower("vector_database", {"version": "2.5"}, allow=["10.0.0.0/8"])
    assert own(found) == {
        "x.disk": "azure.disk", "x.firewall": "azure.network_security_group", "x.address": "azure.public_ip",
        "x.nic": "azure.network_interface", "x": "azure.virtual_machine", "x.ready": "azure.reachable",
    }  # fmt: skip
    machine = of(found, "x").attributes
    (data,) = machine["storageProfile"]["dataDisks"]
    assert (data["createOption"], data["deleteOption"], data["managedDisk"]["id"]) == ("Attach", "Detach", Ref("x.disk", ("id",)))
    assert "milvusdb/milvus:v2.5.18" in base64.b64decode(machine["osProfile"]["customData"]).decode()
    (rule,) = of(found, "x.firewall").attributes["securityRules"]
    assert rule["properties"]["sourceAddressPrefixes"] == ("10.0.0.0/8",)
    assert of(found, "x.ready").attributes["host"] == Ref("x.address", ("ipAddress",))
    closed = lower("vector_database", {})
    assert of(closed, "x.firewall").attributes["securityRules"] == ()
    assert of(closed, "x.ready").attributes["host"] == Ref("x.nic", ("privateIpAddress",))


def test_nobody_can_log_in_to_a_machine() -> None:
    system = of(lower("vector_database", {}), "x").attributes["osProfile"]
    assert system["linuxConfiguration"]["disablePasswordAuthentication"] is True and "adminPassword" not in system
    kind, key, owner = system["linuxConfiguration"]["ssh"]["publicKeys"][0]["keyData"].split()
    assert (kind, owner) == ("ssh-ed25519", "nobody") and len(base64.b64decode(key)) == 51


def test_a_model_s_versions_carry_their_aliases_as_tags() -> None:
    registry = {"kind": "model_registry", "id": "/registry", "name": "reg"}
    artifact = "https://a.blob.core.windows.net/mlinfra/content/" + "ab" * 32
    versions = {"v1": {"artifact": artifact}, "v2": {"image": "acme/server:1"}}
    found = lower("model", {"registry": registry, "versions": versions, "aliases": {"champion": "v1"}})
    assert own(found) == {
        "x": "azure.ml_model",
        'x.version["v1"]': "azure.registered_version",
        'x.version["v2"]': "azure.registered_version",
    }
    assert of(found, 'x.version["v1"]').attributes["tags"] == {"alias.champion": "true"}
    assert found.outputs["versions"]["v2"]["uri"] == "docker://acme/server:1"
    assert found.outputs["aliases"]["champion"] == found.outputs["versions"]["v1"]


def test_a_new_model_is_deployed_under_a_name_of_its_own() -> None:
    def names(digest: str) -> list[Any]:
        variants = {"blue": {"model": {**VERSION, "digest": digest}, "traffic": 9}, "green": {"model": VERSION, "traffic": 1}}
        found = lower("endpoint", {"variants": variants})
        return [of(found, f'x.variant["{key}"]').attributes["name"] for key in variants]

    before, after = names("sha256:" + "cd" * 32), names("sha256:" + "ef" * 32)
    assert before[0] != after[0] and before[1] == after[1]
    assert all(3 <= len(name) <= 32 and name.replace("-", "").isalnum() for name in before + after)
    waiting = names(Ref("m", ("digest",)))[0]  # type: ignore[arg-type]
    assert "${digest.split" in str(waiting)


def test_traffic_moves_after_the_deployments_and_adds_up_to_a_hundred() -> None:
    variants = {
        "a": {"model": VERSION, "traffic": 2},
        "b": {"model": VERSION, "traffic": 1},
        "c": {"model": VERSION, "shadow": True, "traffic": 20},
    }
    traffic = of(lower("endpoint", {"variants": variants}), "x.traffic").attributes
    assert traffic["split"] == (
        Map(deployment=Ref('x.variant["a"]', ("name",)), percent=67), Map(deployment=Ref('x.variant["b"]', ("name",)), percent=33),
    )  # fmt: skip
    assert traffic["mirror"] == (Map(deployment=Ref('x.variant["c"]', ("name",)), percent=20),)
    for weights in ((1, 1, 1), (90, 10), (1, 2, 3, 4, 5, 6, 7), (0, 5)):
        assert sum(_percents(dict(zip("abcdefg", weights, strict=False))).values()) == 100


def test_replicas_with_a_range_are_scaled_by_azure_monitor() -> None:
    found = lower(
        "endpoint", {"variants": {"a": {"model": VERSION}}, "replicas": {"min": 1, "max": 4, "target": {"concurrency": 8}}}
    )
    deployment = of(found, 'x.variant["a"]')
    assert deployment.attributes["requestSettings"] == {"maxConcurrentRequestsPerInstance": 8}
    assert "sku" in deployment.lifecycle.ignore_changes
    profile = of(found, 'x.scaling["a"]').attributes["body"]["properties"]["profiles"][0]
    assert profile["capacity"] == {"minimum": "1", "maximum": "4", "default": "1"}
    fixed = lower("endpoint", {"variants": {"a": {"model": VERSION}}, "replicas": 2})
    assert of(fixed, 'x.variant["a"]').attributes["sku"]["capacity"] == 2 and 'x.scaling["a"]' not in own(fixed)


def test_an_image_of_one_s_own_is_served_without_a_model() -> None:
    found = lower("endpoint", {"variants": {"a": {"image": "acme/server:1"}}, "health": {"path": "/healthz"}})
    environment = of(found, 'x.environment_version["a"]').attributes
    assert environment["image"] == "acme/server:1"
    assert environment["inferenceConfig"]["livenessRoute"] == {"port": 8080, "path": "/healthz"}
    assert "model" not in of(found, 'x.variant["a"]').attributes
    assert not any("serving" in address for address in shared(found))


def test_a_pipeline_is_a_component_a_step_in_the_order_of_their_needs() -> None:
    steps = {
        "clean": {"run": "python clean.py", "inputs": {"raw": "https://a.blob.core.windows.net/c/raw"}, "outputs": ["clean"]},
        "fill": {"run": "python fill.py", "needs": ["clean"]},
    }
    found = lower("data_pipeline", {"steps": steps, "schedule": "@daily", "timezone": "Europe/Berlin"})
    fill = of(found, 'x.component_version["fill"]').attributes["componentSpec"]
    assert set(fill["inputs"]) == {"archive", "run", "after_clean"} and fill["is_deterministic"] is False
    assert "--store=${{inputs.after_clean}}" in fill["command"]
    assert "raw=${{inputs.in_raw}}" in of(found, 'x.component_version["clean"]').attributes["componentSpec"]["command"]
    schedule = of(found, "x.schedule").attributes
    assert schedule["trigger"] == {"triggerType": "Cron", "expression": "0 0 * * *", "timeZone": "W. Europe Standard Time"}
    assert schedule["action"]["jobDefinition"] == Ref("x", ("definition",))


def test_a_job_runs_on_its_cluster_or_on_the_shared_one() -> None:
    cluster = {
        "kind": "training_cluster",
        "engine": "managed",
        "address": "/gpus",
        "accelerators": {"name": "T4"},
        "name": "gpus",
    }
    assert of(lower("training_job", {"run": "python train.py", "cluster": cluster}), "x").attributes["compute"] == "/gpus"
    assert "acpt-pytorch" in of(lower("training_job", {"run": "python train.py", "cluster": cluster}), "x").attributes["image"]
    assert of(lower("training_job", {"run": "python train.py"}), "x").attributes["compute"] == Ref("azure_base.compute", ("id",))


def test_a_job_of_a_ray_cluster_is_submitted_to_its_head() -> None:
    cluster = {"kind": "training_cluster", "engine": "ray", "dashboard": "http://10.42.0.4:8265", "name": "gpus"}
    found = lower("training_job", {"run": "python train.py", "cluster": cluster})
    assert own(found) == {"x": "azure.ray_run"} and shared(found) == [f"azure_base.{r}" for r in ("content", "group", "storage")]
    assert of(found, "x").attributes["dashboard"] == "http://10.42.0.4:8265"
    tunnelled = lower("training_job", {"run": "python train.py", "cluster": cluster}, ray_dashboard="http://127.0.0.1:1")
    assert of(tunnelled, "x").attributes["dashboard"] == "http://127.0.0.1:1"


ONE = {"variants": {"a": {"model": VERSION}}}


@pytest.mark.parametrize(
    ("kind", "properties", "code", "path", "hint"),
    [
        ("bucket", {"force_destroy": False}, "azure.bucket_force_destroy", ("force_destroy",), "protect"),
        ("endpoint", {**ONE, "sticky": "x-user"}, "azure.no_sticky", ("sticky",), "azureml-model-deployment"),
        ("endpoint", {**ONE, "port": 8080}, "azure.no_port", ("port",), "leave port out"),
        ("endpoint", {**ONE, "replicas": {"min": 0, "max": 1}}, "azure.no_scale_to_zero", ("replicas", "min"), "container_app"),
        ("endpoint", {"variants": {**ONE["variants"], "b": {"model": VERSION, "shadow": True}}}, "azure.shadow_share",
         ("variants", "b", "shadow"), "traffic: 50"),
        ("endpoint", {"variants": {**ONE["variants"], "b": {"model": VERSION, "shadow": True, "traffic": 60}}}, "azure.shadow_share",
         ("variants", "b", "traffic"), "traffic: 50"),
        ("endpoint", {"variants": {**ONE["variants"], **{k: {"model": VERSION, "shadow": True, "traffic": 5} for k in "bc"}}},
         "azure.one_shadow", ("variants", "c", "shadow"), "one after the other"),
        ("endpoint", {"variants": {"a": {"model": "models/a"}}}, "azure.variant_model", ("variants", "a", "model"), "model_registry"),
        ("model_registry", {"port": 1}, "azure.registry_port", ("port",), "ui"),
        ("training_cluster", {"resources": {"disk": 10**11}}, "azure.cluster_disk", ("resources", "disk"), "leave disk out"),
        ("training_cluster", {"engine": "ray", "nodes": {"min": 1, "max": 2}}, "azure.ray_autoscaling", ("nodes",), "nodes: 2"),
        ("training_cluster", {"resources": {"accelerators": "TPU-v5e:8"}}, "hardware.nothing_fits", ("resources", "accelerators"), "azure has"),
        ("vector_database", {"token": "root:x"}, "azure.milvus_token", ("token",), "allow"),
        ("vector_database", {"engine": Ref("settings", ("engine",))}, "zilliz.unknown_engine", ("engine",), ""),
        ("data_pipeline", {"steps": {"a": {"run": "x"}}, "ui": True}, "azure.pipeline_page", ("ui",), "studio"),
        ("data_pipeline", {"steps": {"a": {"run": "x"}}, "schedule": "@daily", "timezone": "Asia/Kathmandu"}, "azure.timezone",
         ("timezone",), "UTC"),
    ],
)  # fmt: skip
def test_what_azure_cannot_is_an_error_with_an_alternative(
    kind: str, properties: dict[str, Any], code: str, path: tuple[str, ...], hint: str
) -> None:
    with pytest.raises(LoweringError) as error:
        lower(kind, properties)
    (problem,) = error.value.diagnostics
    assert (problem.code, problem.path) == (code, path)
    assert hint in problem.hint
