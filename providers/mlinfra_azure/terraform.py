"""What Terraform calls our Azure types and their properties: HashiCorp's azurerm provider 4, by its documentation. ARM's names in
snake_case, maps as blocks; what has a name or a shape of its own is listed. Scanners (checkov, tfsec, policies) read these names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.terraform import TerraformType, block, snake
from mlinfra.provider.zilliz.terraform import CLUSTER

Shape = Callable[[Map], Mapping[str, Value]]
_PLAIN = ("tags", "metadata", "environmentVariables")
"""Maps whose keys are the user's."""
_COMMON = {"parent": ""}


def _blocks(attributes: Map) -> Mapping[str, Value]:
    """Every map as a block of one; the resource group by its name."""
    found = {snake(k): block(v) for k, v in attributes.items() if isinstance(v, (Map, tuple)) and k not in _PLAIN}
    parent = attributes.get("parent")
    if isinstance(parent, str) and parent.rpartition("/")[0].lower().endswith("/resourcegroups"):
        found["resource_group_name"] = parent.rpartition("/")[2]
    return found


def _sku(attributes: Map) -> str:
    sku = attributes.get("sku")
    return str((sku if isinstance(sku, Map) else EMPTY).get("name") or "")


def _storage_account(attributes: Map) -> Mapping[str, Value]:
    tier, _, replication = _sku(attributes).partition("_")
    found = {k: v for k, v in _blocks(attributes).items() if k != "sku"}
    public = attributes.get("publicNetworkAccess")
    return {
        **found,
        "account_tier": tier,
        "account_replication_type": replication,
        **({} if public is None else {"public_network_access_enabled": public == "Enabled"}),
    }


def _named_sku(name: str) -> Shape:
    def shape(attributes: Map) -> Mapping[str, Value]:
        return {**{k: v for k, v in _blocks(attributes).items() if k != "sku"}, name: _sku(attributes)}

    return shape


def _vault(attributes: Map) -> Mapping[str, Value]:
    network = attributes.get("networkAcls")
    found = {k: v for k, v in _blocks(attributes).items() if k not in ("sku", "network_acls")}
    return {**found, "sku_name": _sku(attributes), **({"network_acls": block(network)} if isinstance(network, Map) else {})}


def _container(attributes: Map) -> Mapping[str, Value]:
    access = str(attributes.get("publicAccess") or "None")
    return {**_blocks(attributes), "container_access_type": "private" if access == "None" else access.lower()}


def _firewall(attributes: Map) -> Mapping[str, Value]:
    """A rule's properties stand beside its name."""
    found = {k: v for k, v in _blocks(attributes).items() if k != "security_rules"}
    rules = [
        {"name": rule.get("name"), **{snake(k): v for k, v in (rule.get("properties") or EMPTY).items()}}
        for rule in attributes.get("securityRules") or ()
        if isinstance(rule, Map)
    ]
    return {**found, "security_rule": tuple(Map(rule) for rule in rules)}


def _machine(attributes: Map) -> Mapping[str, Value]:
    system, hardware = attributes.get("osProfile"), attributes.get("hardwareProfile")
    linux = (system if isinstance(system, Map) else EMPTY).get("linuxConfiguration") or EMPTY
    return {
        **{k: v for k, v in _blocks(attributes).items() if k not in ("os_profile", "hardware_profile")},
        "size": (hardware if isinstance(hardware, Map) else EMPTY).get("vmSize"),
        "admin_username": (system if isinstance(system, Map) else EMPTY).get("adminUsername"),
        "disable_password_authentication": linux.get("disablePasswordAuthentication", False),
    }


def _compute(attributes: Map) -> Mapping[str, Value]:
    properties = attributes.get("properties")
    inner = properties if isinstance(properties, Map) else EMPTY
    scale = inner.get("scaleSettings") or EMPTY
    return {
        **{k: v for k, v in _blocks(attributes).items() if k != "properties"},
        "vm_size": inner.get("vmSize"),
        "vm_priority": inner.get("vmPriority"),
        "ssh_public_access_enabled": inner.get("remoteLoginPortPublicAccess") == "Enabled",
        "scale_settings": block(
            Map(
                min_node_count=scale.get("minNodeCount"),
                max_node_count=scale.get("maxNodeCount"),
                scale_down_nodes_after_idle_duration=scale.get("nodeIdleTimeBeforeScaleDown"),
            )
        ),
    }


def _workspace(attributes: Map) -> Mapping[str, Value]:
    public = attributes.get("publicNetworkAccess")
    found = {k: v for k, v in _blocks(attributes).items() if k != "sku"}
    return {**found, **({} if public is None else {"public_network_access_enabled": public == "Enabled"})}


def _type(name: str, attributes: Mapping[str, str] | None = None, shape: Shape = _blocks) -> TerraformType:
    return TerraformType(name=name, attributes={**_COMMON, **(attributes or {})}, shape=shape, verbatim=_PLAIN)


TYPES: Mapping[str, TerraformType] = {
    "azure.resource_group": _type("azurerm_resource_group"),
    "azure.storage_account": _type(
        "azurerm_storage_account",
        {"sku": "", "kind": "account_kind", "minimumTlsVersion": "min_tls_version", "publicNetworkAccess": "",
         "supportsHttpsTrafficOnly": "https_traffic_only_enabled", "allowBlobPublicAccess": "allow_nested_items_to_be_public",
         "allowSharedKeyAccess": "shared_access_key_enabled", "networkAcls": "network_rules"},
        _storage_account,
    ),
    "azure.storage_container": _type("azurerm_storage_container", {"publicAccess": ""}, _container),
    "azure.storage_management_policy": _type("azurerm_storage_management_policy"),
    "azure.user_assigned_identity": _type("azurerm_user_assigned_identity"),
    "azure.role_assignment": _type("azurerm_role_assignment", {"roleDefinitionId": "role_definition_name"}),
    "azure.key_vault": _type(
        "azurerm_key_vault",
        {"sku": "", "enablePurgeProtection": "purge_protection_enabled", "enableRbacAuthorization": "rbac_authorization_enabled",
         "softDeleteRetentionInDays": "soft_delete_retention_days"},
        _vault,
    ),
    "azure.container_registry": _type("azurerm_container_registry", {"sku": "", "adminUserEnabled": "admin_enabled"}, _named_sku("sku")),
    "azure.ml_workspace": _type(
        "azurerm_machine_learning_workspace",
        {"sku": "sku_name", "storageAccount": "storage_account_id", "keyVault": "key_vault_id", "publicNetworkAccess": "",
         "applicationInsights": "application_insights_id", "containerRegistry": "container_registry_id"},
        _workspace,
    ),
    "azure.ml_compute": _type("azurerm_machine_learning_compute_cluster", {"properties": ""}, _compute),
    "azure.ml_datastore": _type("azurerm_machine_learning_datastore_blobstorage"),
    "azure.virtual_network": _type("azurerm_virtual_network"),
    "azure.subnet": _type("azurerm_subnet", {"addressPrefix": "address_prefixes"}),
    "azure.network_security_group": _type("azurerm_network_security_group", {"securityRules": ""}, _firewall),
    "azure.public_ip": _type("azurerm_public_ip", {"sku": "", "publicIPAllocationMethod": "allocation_method"}, _named_sku("sku")),
    "azure.network_interface": _type("azurerm_network_interface", {"ipConfigurations": "ip_configuration"}),
    "azure.disk": _type(
        "azurerm_managed_disk", {"sku": "", "diskSizeGB": "disk_size_gb", "creationData": "creation_data"}, _named_sku("storage_account_type")
    ),
    "azure.virtual_machine": _type("azurerm_linux_virtual_machine", {"hardwareProfile": "", "osProfile": ""}, _machine),
    "azure.vm_scale_set": _type("azurerm_linux_virtual_machine_scale_set", {"sku": ""}, _named_sku("sku")),
    "azure.zilliz_cluster": CLUSTER,
    "azure.container_app": _type("azurerm_container_app"),
    "azure.container_app_environment": _type("azurerm_container_app_environment"),
    "azure.log_analytics_workspace": _type("azurerm_log_analytics_workspace", {"sku": ""}, _named_sku("sku")),
}  # fmt: skip
