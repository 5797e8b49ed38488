"""The Azure provider under the contract suite, against a server that enforces ARM's published types; tokens by azure-identity itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from contract.test_azure_runs import OURS
from fakes.azure import Azure
from fakes.azure.server import SUBSCRIPTION
from fakes.entra import TENANT
from live.azure.world import world

from mlinfra.model.values import EMPTY, Secret
from mlinfra.provider.contract import Lowering
from mlinfra.provider.testing import Given, ProviderContract, Sample, World
from mlinfra_azure.provider import AzureProvider

pytest.importorskip("azure.identity", reason="azure-identity is not installed")

G = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/mlinfra-contract-test"
STORE = f"{G}/providers/Microsoft.Storage/storageAccounts/acmebase"
KEYS = f"{G}/providers/Microsoft.KeyVault/vaults/acme-base"
WS = f"{G}/providers/Microsoft.MachineLearningServices/workspaces/base"
STANDING = (G, STORE, KEYS, WS)
"""What is there before, and stays: most types lie in it."""
ACCOUNT = {"name": "acmeraw", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
VAULT = {"name": "acme-vault", "sku": {"family": "A", "name": "standard"}, "tenantId": TENANT}
WORKSPACE = {"name": "ml", "identity": {"type": "SystemAssigned"}, "storageAccount": STORE, "keyVault": KEYS}
IDENTITY = Given(type="azure.user_assigned_identity", attributes={"name": "trainer"})
NET = {
    "name": "ml",
    "addressSpace": {"addressPrefixes": ("10.0.0.0/16",)},
    "subnets": ({"name": "vms", "properties": {"addressPrefix": "10.0.0.0/24"}},),
}
NETWORK = Given(type="azure.virtual_network", attributes=NET)
_OPEN = {"direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*", "destinationAddressPrefix": "*"}
RULE = {
    "name": "milvus",
    "properties": {**_OPEN, "priority": 100, "sourceAddressPrefix": "203.0.113.0/24", "destinationPortRange": "19530"},
}
DISK = {"name": "data", "creationData": {"createOption": "Empty"}, "diskSizeGB": 64, "sku": {"name": "Premium_LRS"}}
_SCALE = {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT2M"}
ENDPOINT = Given(type="azure.ml_online_endpoint", attributes=lambda w: {"parent": WS, "name": "api", "authMode": "Key"})
ALERT = {"criteria": {"odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": (
    {"criterionType": "StaticThresholdCriterion", "name": "slow", "metricName": "RequestLatency", "operator": "GreaterThan", "threshold": 500,
     "timeAggregation": "Average"},)}, "enabled": True, "evaluationFrequency": "PT1M", "severity": 2, "windowSize": "PT5M"}  # fmt: skip


def inside(need: str, **attributes: Any) -> Any:
    return lambda w: {"parent": w[need].id, **attributes}


def inside_of(parent: str, **attributes: Any) -> Mapping[str, Any]:
    return {"parent": parent, **attributes}


def compute(w: World, least: int = 0, size: str = "Standard_DS3_v2") -> dict[str, Any]:
    hardware = {"vmSize": size, "vmPriority": "LowPriority", "scaleSettings": {**_SCALE, "minNodeCount": least}}
    return {"parent": WS, "name": "gpus", "computeType": "AmlCompute", "properties": hardware, "tags": {"team": "ml"}}


def version(type: str, folder: str, content: Mapping[str, Any], other: Mapping[str, Any]) -> Sample:
    kind = {"dataType": "uri_folder"} if folder == "data" else {}
    holder = Given(type=f"azure.{type}", attributes=inside_of(WS, name="m", **kind))
    return Sample(
        type=f"azure.{type}_version",
        needs={"m": holder},
        create=inside("m", name="1", tags={"team": "ml"}, **content),
        update=inside("m", name="1", tags={"team": "data"}, description="better", **content),
        replace=inside("m", name="2", **{**content, **other}),
    )


def deployed(w: World, capacity: int = 1, **more: Any) -> dict[str, Any]:
    wanted = {
        "endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "model": f"{G}/x", "environmentId": f"{G}/e",
        "sku": {"name": "Default", "capacity": capacity}, "requestSettings": {"requestTimeout": "PT60S"},
    }  # fmt: skip
    return {"parent": w["endpoint"].id, "name": "blue", **wanted, **more}


def machine(w: World, **more: Any) -> dict[str, Any]:
    wanted = {
        "name": "milvus", "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
        "storageProfile": {"imageReference": {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
                           "osDisk": {"createOption": "FromImage", "deleteOption": "Delete"}},
        "osProfile": {"computerName": "milvus", "adminUsername": "mlinfra", "customData": "I2Nsb3Vk",
                      "adminPassword": Secret("pl4nted-secret"), "linuxConfiguration": {"disablePasswordAuthentication": False}},
        "networkProfile": {"networkInterfaces": ({"id": w["nic"].id},)},
    }  # fmt: skip
    return {**wanted, **more}


def nodes(w: World, capacity: int = 1, **more: Any) -> dict[str, Any]:
    network = {"networkInterfaceConfigurations": ({"name": "nic", "properties": {"primary": True, "ipConfigurations": (
        {"name": "ip", "properties": {"subnet": {"id": f"{w['net'].id}/subnets/vms"}}},)}},)}  # fmt: skip
    profile = {
        "osProfile": {"computerNamePrefix": "node", "adminUsername": "mlinfra", "customData": "I2Nsb3Vk"},
        "networkProfile": network,
    }
    return {"name": "nodes", "sku": {"name": "Standard_D4s_v5", "capacity": capacity}, "orchestrationMode": "Uniform",
            "upgradePolicy": {"mode": "Manual"}, "virtualMachineProfile": profile, **more}  # fmt: skip


def interface(w: World, **more: Any) -> dict[str, Any]:
    place = {"subnet": {"id": f"{w['net'].id}/subnets/vms"}, "publicIPAddress": {"id": w["ip"].id}}
    return {"name": "milvus", "ipConfigurations": ({"name": "main", "properties": place},), **more}


def app(w: World, **more: Any) -> dict[str, Any]:
    containers = ({"name": "hello", "image": "mcr.microsoft.com/hello", "resources": {"cpu": 1, "memory": "2Gi"}},)
    configuration = {
        "ingress": {"external": True, "targetPort": 80},
        "secrets": ({"name": "key", "value": Secret("pl4nted-too")},),
    }
    return {
        "name": "hello",
        "managedEnvironmentId": w["env"].id,
        "configuration": configuration,
        "template": {"containers": containers},
        **more,
    }


def job(w: World, **more: Any) -> dict[str, Any]:
    return {
        "parent": WS,
        "name": "fit-1",
        "jobType": "Command",
        "command": "python fit.py",
        "environmentId": f"{G}/e",
        "codeId": f"{WS}/codes/c/versions/1",
        **more,
    }


def schedule(w: World, hour: int = 3, **more: Any) -> dict[str, Any]:
    run = {"jobType": "Command", "command": "python fit.py", "environmentId": f"{G}/e"}
    trigger = {"triggerType": "Cron", "expression": f"0 {hour} * * *", "timeZone": "UTC"}
    return {
        "parent": WS,
        "name": "nightly",
        "action": {"actionType": "CreateJob", "jobDefinition": run},
        "trigger": trigger,
        **more,
    }


def alert(w: World, **more: Any) -> dict[str, Any]:
    body = {"properties": {**ALERT, "scopes": (STORE,), **more}}
    return {"type": "Microsoft.Insights/metricAlerts@2026-01-01", "name": "slow", "location": "global", "body": body}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with world(tmp_path_factory.mktemp("azure")) as held:
        state = held.azure
        state.polls = 1
        for id in STANDING:
            state.have(id)
        yield state


class Natives(AzureProvider):
    """The provider without its lowerings: test_azure_runs.py holds those, and the types that run users' code."""

    lowerings: Mapping[str, Lowering] = EMPTY


class TestAzure(ProviderContract):
    provider = Natives()
    unsampled: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(OURS, "tests/contract/test_azure_runs.py samples it"),
        **dict.fromkeys(("azure.ray_run", "azure.image"), "tests/contract/test_azure_runs.py says who does"),
    }
    samples = (
        Sample(type="azure.resource_group", create={"name": "rows", "tags": {"team": "ml"}}, update={"name": "rows", "tags": {"team": "data"}},
               replace={"name": "rows", "location": "westeurope"}),
        Sample(type="azure.storage_account", create={**ACCOUNT, "accessTier": "Hot", "tags": {"team": "ml"}},
               update={**ACCOUNT, "accessTier": "Cool", "minimumTlsVersion": "TLS1_2", "tags": {"team": "data"}},
               replace={**ACCOUNT, "kind": "BlobStorage"}),
        Sample(type="azure.blob_service", create=inside_of(STORE, isVersioningEnabled=True),
               update=inside_of(STORE, isVersioningEnabled=False, deleteRetentionPolicy={"enabled": True, "days": 7})),
        Sample(type="azure.storage_container", create=inside_of(STORE, name="raw", metadata={"a": "b"}),
               update=inside_of(STORE, name="raw", metadata={"a": "c"}), replace=inside_of(STORE, name="raw2")),
        Sample(type="azure.storage_management_policy", 
               create=inside_of(STORE, policy={"rules": ({"name": "old", "type": "Lifecycle", "definition": {"actions": {"baseBlob": {
                   "delete": {"daysAfterModificationGreaterThan": 30}}}, "filters": {"blobTypes": ("blockBlob",)}}},)}),
               update=inside_of(STORE, policy={"rules": ({"name": "old", "type": "Lifecycle", "definition": {"actions": {"baseBlob": {
                   "delete": {"daysAfterModificationGreaterThan": 90}}}, "filters": {"blobTypes": ("blockBlob",)}}},)})),
        Sample(type="azure.user_assigned_identity", create={"name": "trainer", "tags": {"team": "ml"}},
               update={"name": "trainer", "tags": {"team": "data"}}, replace={"name": "trainer2"}),
        Sample(type="azure.role_assignment", needs={"identity": IDENTITY},
               create=lambda w: {"scope": STORE, "roleDefinitionId": "Storage Blob Data Contributor", "principalType": "ServicePrincipal",
                                 "principalId": w["identity"].attributes["principalId"], "description": "runs write"},
               replace=lambda w: {"scope": STORE, "roleDefinitionId": "Storage Blob Data Reader", "principalType": "ServicePrincipal",
                                  "principalId": w["identity"].attributes["principalId"]}),
        Sample(type="azure.key_vault", create={**VAULT, "enableRbacAuthorization": True, "createMode": "default"},
               update={**VAULT, "enableRbacAuthorization": True, "publicNetworkAccess": "Disabled", "tags": {"team": "ml"}},
               replace={**VAULT, "name": "acme-vault2"}),
        Sample(type="azure.container_registry", create={"name": "acmeimages", "sku": {"name": "Basic"}},
               update={"name": "acmeimages", "sku": {"name": "Standard"}, "adminUserEnabled": False, "tags": {"team": "ml"}},
               replace={"name": "acmeimages2", "sku": {"name": "Basic"}}),
        Sample(type="azure.ml_workspace", 
               create={**WORKSPACE, "friendlyName": "ML", "tags": {"team": "ml"}},
               update={**WORKSPACE, "friendlyName": "all ML", "tags": {"team": "data"}},
               replace={**WORKSPACE, "name": "ml2"}),
        Sample(type="azure.ml_registry",
               create={"name": "models", "regionDetails": ({"location": "eastus"},), "tags": {"team": "ml"}},
               update={"name": "models", "regionDetails": ({"location": "eastus"}, {"location": "westeurope"}), "tags": {"team": "data"}},
               replace={"name": "models2", "regionDetails": ({"location": "eastus"},)}),
        Sample(type="azure.ml_datastore",
               create=inside_of(WS, name="raw", datastoreType="AzureBlob", accountName="acmeraw", containerName="raw",
                             credentials={"credentialsType": "None"}, tags={"team": "ml"}),
               update=inside_of(WS, name="raw", datastoreType="AzureBlob", accountName="acmeraw", containerName="raw",
                             credentials={"credentialsType": "None"}, description="raw rows", tags={"team": "data"}),
               replace=inside_of(WS, name="raw", datastoreType="AzureBlob", accountName="acmeraw", containerName="other",
                              credentials={"credentialsType": "None"})),
        Sample(type="azure.ml_compute", create=compute, update=lambda w: compute(w, 1),
               replace=lambda w: {**compute(w), "name": "gpus2"}),
        *(Sample(type=f"azure.ml_{n}", create=inside_of(WS, name="m", description="one", tags={"team": "ml"}, **more),
                 update=inside_of(WS, name="m", description="two", **more), replace=inside_of(WS, name="m2", **more))
          for n, more in (("model", {}), ("data", {"dataType": "uri_folder"}), ("environment", {}), ("component", {}), ("code", {}))),
        version("ml_model", "models", {"modelUri": "azureml://a", "modelType": "mlflow_model"}, {"modelUri": "azureml://b"}),
        version("ml_data", "data", {"dataUri": "azureml://a", "dataType": "uri_folder"}, {"dataUri": "azureml://b"}),
        version("ml_environment", "environments", {"image": "python:3.11", "osType": "Linux"}, {"image": "python:3.12"}),
        version("ml_component", "components", {"componentSpec": {"name": "clean", "type": "command"}}, {"componentSpec": {"name": "x"}}),
        version("ml_code", "codes", {"codeUri": "https://x.example/1"}, {"codeUri": "https://x.example/2"}),
        Sample(type="azure.ml_job", create=lambda w: job(w, tags={"team": "ml"}),
               update=lambda w: job(w, displayName="fit", tags={"team": "data"}), replace=lambda w: job(w, name="fit-2", command="python fit2.py")),
        Sample(type="azure.ml_schedule", create=schedule, update=lambda w: schedule(w, 4, isEnabled=False, tags={"team": "ml"}),
               replace=lambda w: schedule(w, name="daily")),
        Sample(type="azure.ml_online_endpoint", create=inside_of(WS, name="api", authMode="Key", identity={"type": "SystemAssigned"}),
               update=inside_of(WS, name="api", authMode="Key", identity={"type": "SystemAssigned"}, description="answers", tags={"team": "ml"}),
               replace=inside_of(WS, name="api", authMode="AMLToken")),
        Sample(type="azure.ml_online_deployment", needs={"endpoint": ENDPOINT}, create=deployed,
               update=lambda w: deployed(w, 3, environmentVariables={"A": "1"}),
               replace=lambda w: deployed(w, name="green", instanceType="Standard_F4s_v2")),
        Sample(type="azure.ml_traffic",
               needs={"endpoint": ENDPOINT, "blue": Given(type="azure.ml_online_deployment", attributes=deployed),
                      "green": Given(type="azure.ml_online_deployment", attributes=lambda w: deployed(w, name="green"))},
               create=lambda w: {"endpoint": w["endpoint"].id, "traffic": {"blue": 100}, "mirrorTraffic": {"green": 10}},
               update=lambda w: {"endpoint": w["endpoint"].id, "traffic": {"blue": 90, "green": 10}}),
        Sample(type="azure.virtual_network", create=NET, update={**NET, "addressSpace": {"addressPrefixes": ("10.0.0.0/16", "10.1.0.0/16")}},
               replace={**NET, "name": "ml2"}),
        Sample(type="azure.subnet", needs={"net": NETWORK}, create=inside("net", name="jobs", addressPrefix="10.0.1.0/24"),
               update=inside("net", name="jobs", addressPrefix="10.0.2.0/24"), replace=inside("net", name="jobs2", addressPrefix="10.0.1.0/24")),
        Sample(type="azure.network_security_group", create={"name": "milvus", "securityRules": (RULE,)},
               update={"name": "milvus", "securityRules": (RULE, {**RULE, "name": "ssh", "properties": {**RULE["properties"], "priority": 110}})},
               replace={"name": "milvus2"}),
        Sample(type="azure.public_ip", create={"name": "milvus", "sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static"},
               update={"name": "milvus", "sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static", "tags": {"team": "ml"}},
               replace={"name": "milvus2", "sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static"}),
        Sample(type="azure.network_interface",
               needs={"net": NETWORK, "ip": Given(type="azure.public_ip", attributes={"name": "ip", "publicIPAllocationMethod": "Static"})},
               create=interface, update=lambda w: interface(w, enableIPForwarding=True), replace=lambda w: interface(w, name="other")),
        Sample(type="azure.disk", create=DISK, update={**DISK, "sku": {"name": "StandardSSD_LRS"}, "tags": {"team": "ml"}},
               replace={**DISK, "zones": ("1",)}),
        Sample(type="azure.virtual_machine",
               needs={"net": NETWORK, "ip": Given(type="azure.public_ip", attributes={"name": "ip", "publicIPAllocationMethod": "Static"}),
                      "nic": Given(type="azure.network_interface", attributes=interface)},
               create=machine, update=lambda w: machine(w, hardwareProfile={"vmSize": "Standard_D8s_v5"}, tags={"team": "ml"}),
               replace=lambda w: machine(w, zones=("1",))),
        Sample(type="azure.vm_scale_set", needs={"net": NETWORK}, create=nodes, update=lambda w: nodes(w, 3, tags={"team": "ml"}),
               replace=lambda w: nodes(w, name="nodes2")),
        Sample(type="azure.container_app", needs={"env": Given(type="azure.container_app_environment", attributes={"name": "apps"})},
               create=app, update=lambda w: app(w, tags={"team": "ml"}), replace=lambda w: app(w, name="hello2")),
        Sample(type="azure.container_app_environment", create={"name": "apps", "zoneRedundant": False},
               update={"name": "apps", "zoneRedundant": False, "tags": {"team": "ml"}}, replace={"name": "apps", "zoneRedundant": True}),
        Sample(type="azure.log_analytics_workspace", create={"name": "logs", "retentionInDays": 30, "sku": {"name": "PerGB2018"}},
               update={"name": "logs", "retentionInDays": 90, "sku": {"name": "PerGB2018"}}, replace={"name": "logs2"}),
        Sample(type="azure.arm", create=alert, update=lambda w: alert(w, severity=1),
               replace=lambda w: {**alert(w), "name": "slower"}),
    )  # fmt: skip

    @pytest.fixture
    def given(self, server: Azure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, Any]]:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.invalid.clear()
        server.deleted.clear()
        yield {"azure": server}
        assert server.invalid == [], "a request that ARM's published types do not allow"
        assert server.everything() == sorted(STANDING), "something was left behind"

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**given["azure"].settings(), "purge": True, "tags": {"cost": "ml"}}
