"""Azure's native types, offline: bodies held against ARM's published types, what replaces, names, marks, what counts as the same."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.model.values import UNKNOWN, Map, Ref, freeze
from mlinfra.provider.contract import ProviderContext
from mlinfra_azure import names
from mlinfra_azure.client import AzureClient
from mlinfra_azure.engine.bodied import prune
from mlinfra_azure.provider import AzureProvider
from mlinfra_azure.settings import AzureConfig
from mlinfra_azure.shape import alike, like

SUB = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
G = f"/subscriptions/{SUB}/resourceGroups/g"
TYPES = AzureProvider.types
STORE: dict[str, Any] = {"name": "acme", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}


def problems(kind: str, /, **attributes: Any) -> dict[tuple[Any, ...], str]:
    return dict(TYPES[kind].validate(Map(freeze(attributes))))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("type", "attributes", "path", "words"),
    [
        ("azure.storage_account", {**STORE, "networkAcls": {"defaultActoin": "Deny"}}, ("networkAcls", "defaultActoin"),
         "did you mean 'defaultAction'?"),
        ("azure.storage_account", {**STORE, "networkAcls": {}}, ("networkAcls", "defaultAction"), "is required"),
        ("azure.storage_account", {**STORE, "accessTier": 3}, ("accessTier",), "no text"),
        ("azure.storage_account", {**STORE, "name": "Acme-Store"}, ("name",), "3 to 24 lower-case letters and digits"),
        ("azure.storage_account", {**STORE, "parent": "g"}, ("parent",), "/subscriptions/S/resourceGroups/NAME, or leave it out"),
        ("azure.storage_account", {**STORE, "tags": {"mlinfra-op": "1"}}, ("tags", "mlinfra-op"), "mlinfra's own"),
        ("azure.ml_online_deployment", {"name": "blue", "endpointComputeType": "Managd"}, ("endpointComputeType",), "did you mean 'Managed'?"),
        ("azure.ml_online_deployment", {"name": "blue", "endpointComputeType": "Managed", "sku": {}}, ("sku", "name"), "is required"),
        ("azure.ml_compute", {"name": "gpus", "computeType": "AmlCompute", "properties": {"vmSise": "x"}}, ("properties", "vmSise"), "vmSize"),
        ("azure.ml_job", {"name": "fit", "jobType": "Command", "environmentId": "e"}, ("command",), "is required"),
        ("azure.role_assignment", {"scope": G, "principalId": "p", "roleDefinitionId": "AcrPul"}, ("roleDefinitionId",), "did you mean 'AcrPull'?"),
        ("azure.ml_traffic", {"endpoint": G, "traffic": {"a": 60, "b": 30}}, ("traffic",), "add up to 90"),
        ("azure.ml_traffic", {"endpoint": G, "traffic": {"a": 100}, "mirrorTraffic": {"b": 60}}, ("mirrorTraffic", "b"), "at most 50"),
        ("azure.ml_traffic", {"endpoint": G, "traffic": {"a": 100}, "mirrorTraffic": {"a": 10}}, ("mirrorTraffic", "a"), "gets traffic"),
        ("azure.arm", {"type": "Microsoft.Compute/disks", "name": "d"}, ("type",), "api-version"),
        ("azure.arm", {"type": "Microsoft.Compute/disks@2026-03-02", "name": "d", "location": "eastus", "body": {"properties": {"creationDta": {}}}},
         ("body", "properties", "creationDta"), "did you mean 'creationData'?"),
    ],
)  # fmt: skip
def test_what_arm_would_refuse_is_told_before_anything_is_sent(
    type: str, attributes: dict[str, Any], path: tuple[Any, ...], words: str
) -> None:
    found = problems(type, **attributes)
    assert path in found and words in found[path], found


def test_what_is_right_is_not_complained_of_and_what_is_unknown_is_skipped() -> None:
    assert problems("azure.storage_account", **STORE, accessTier="Hot") == {}
    assert (
        problems("azure.ml_online_deployment", name="blue", parent=Ref("e", ("id",)), endpointComputeType=UNKNOWN, sku=UNKNOWN)
        == {}
    )
    assert (
        problems("azure.arm", type="Microsoft.Insights/autoscaleSettings@2022-10-01", name="x", body={"properties": {"any": 1}})
        == {}
    )


def test_parts_that_never_change_cite_who_says_so() -> None:
    machine = TYPES["azure.virtual_machine"].schema.attributes
    assert (
        not machine["storageProfile"].immutable
        and "Microsoft.Compute/virtualMachines@" in machine["storageProfile"].fixed[("imageReference",)]
    )
    deployment = TYPES["azure.ml_online_deployment"].schema.attributes
    assert deployment["instanceType"].immutable and "deployments@2026-05-01" in deployment["instanceType"].source
    assert not deployment["model"].immutable and ("name",) in deployment["sku"].fixed


def test_an_id_is_known_as_soon_as_parent_and_name_are() -> None:
    predict = TYPES["azure.storage_container"].schema.predict
    assert predict is not None
    account = f"{G}/providers/Microsoft.Storage/storageAccounts/acme"
    assert predict(Map(parent=account, name="raw"))["id"] == f"{account}/blobServices/default/containers/raw"
    assert "id" not in predict(Map(parent=UNKNOWN, name="raw"))


def test_the_same_grant_has_the_same_name_however_the_role_is_written() -> None:
    predict = TYPES["azure.role_assignment"].schema.predict
    assert predict is not None
    role = "/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions/7f951dda-4ed3-4680-a7ca-43fe172d538d"
    by_name = predict(Map(scope=G, principalId="p", roleDefinitionId="AcrPull"))
    assert by_name == predict(Map(scope=G, principalId="p", roleDefinitionId=role))
    assert by_name != predict(Map(scope=G, principalId="q", roleDefinitionId=role))
    same = TYPES["azure.role_assignment"].schema.attributes["roleDefinitionId"].same
    assert same is not None and same("AcrPull", role) and not same("AcrPush", role)


def test_sovereign_clouds_have_addresses_of_their_own() -> None:
    assert names.address({"cloud": "china"}, "arm") == "https://management.chinacloudapi.cn"
    assert names.blob_address({"cloud": "government"}, "acme") == "https://acme.blob.core.usgovcloudapi.net"
    assert names.address({"endpoints": {"arm": "https://arm.local/"}}, "arm") == "https://arm.local"


def test_what_azure_spells_otherwise_counts_as_the_same() -> None:
    assert alike(f"{G}/providers/x/y/z", f"{G.replace('/g', '/G')}/providers/x/y/z") and not alike("A", "a")
    rules = freeze([{"name": "b", "x": 2}, {"name": "a", "x": 1, "id": "more"}])
    assert like(rules, freeze([{"name": "a", "x": 1}, {"name": "b", "x": 2}])) == freeze(
        [{"name": "a", "x": 1}, {"name": "b", "x": 2}]
    )


def test_a_whole_body_keeps_what_others_set_and_drops_what_is_read_only() -> None:
    network = TYPES["azure.virtual_network"]
    client = AzureClient(AzureConfig(subscription=SUB), ProviderContext(project="p", environment="e", base=None, data=None))  # type: ignore[arg-type]
    subnet = {
        "name": "theirs",
        "id": "x",
        "etag": "1",
        "properties": {"addressPrefix": "10.0.9.0/24", "provisioningState": "Succeeded"},
    }
    live = {"id": "i", "etag": "1", "location": "eastus", "tags": {"mlinfra-op": "t", "old": "1"},
            "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [subnet], "provisioningState": "Succeeded"}}  # fmt: skip
    wanted = Map(
        freeze({"name": "n", "addressSpace": {"addressPrefixes": ("10.0.0.0/8",)}, "tags": {"new": "1"}, "location": "eastus"})
    )
    body = network.whole_body(client, live, wanted, [])  # type: ignore[attr-defined]
    assert body["properties"]["subnets"] == [{"id": "x", "name": "theirs", "properties": {"addressPrefix": "10.0.9.0/24"}}]
    assert body["properties"]["addressSpace"]["addressPrefixes"] == ["10.0.0.0/8"]
    assert body["tags"] == {"new": "1", "mlinfra-op": "t"} and "etag" not in body
    assert prune(network.row.contract, {"id": 1, "location": "x"}) == {"location": "x"}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrong",
    [{"subscription": "x"}, {"tags": {"mlinfra-x": "1"}}, {"location": "East US"}, {"resource_group": "a."}, {"cloud": "x"}],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AzureConfig.model_validate({"subscription": SUB, **wrong})
