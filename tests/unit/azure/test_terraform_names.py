"""Azure's types as Terraform's plans have them: the names and shapes that scanners read."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.model.values import Map, freeze, thaw
from mlinfra.provider.terraform import shaped
from mlinfra_azure.provider import AzureProvider
from mlinfra_azure.terraform import TYPES

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml"


def read(type: str, attributes: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = thaw(shaped(TYPES[type], Map(freeze(attributes))))
    return found


def test_every_name_is_of_a_type_that_there_is() -> None:
    assert set(TYPES) <= set(AzureProvider.types)


@pytest.mark.parametrize(
    ("type", "attributes", "expected"),
    [
        (
            "azure.storage_account",
            {"name": "acme", "parent": GROUP, "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "allowBlobPublicAccess": False,
             "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": True, "publicNetworkAccess": "Disabled"},
            {"name": "acme", "resource_group_name": "ml", "account_tier": "Standard", "account_replication_type": "LRS",
             "account_kind": "StorageV2", "allow_nested_items_to_be_public": False, "min_tls_version": "TLS1_2",
             "https_traffic_only_enabled": True, "public_network_access_enabled": False},
        ),
        (
            "azure.key_vault",
            {"name": "kv", "parent": GROUP, "sku": {"family": "A", "name": "standard"}, "enablePurgeProtection": True,
             "enableRbacAuthorization": True, "networkAcls": {"defaultAction": "Deny"}},
            {"name": "kv", "resource_group_name": "ml", "sku_name": "standard", "purge_protection_enabled": True,
             "rbac_authorization_enabled": True, "network_acls": [{"default_action": "Deny"}]},
        ),
        ("azure.storage_container", {"name": "c", "publicAccess": "None"}, {"name": "c", "container_access_type": "private"}),
        (
            "azure.network_security_group",
            {"name": "g", "securityRules": [{"name": "ssh", "properties": {"access": "Allow", "destinationPortRange": "22"}}]},
            {"name": "g", "security_rule": [{"name": "ssh", "access": "Allow", "destination_port_range": "22"}]},
        ),
        (
            "azure.ml_compute",
            {"name": "gpus", "properties": {"vmSize": "Standard_NC4as_T4_v3", "vmPriority": "LowPriority",
             "remoteLoginPortPublicAccess": "Disabled", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 2}}},
            {"name": "gpus", "vm_size": "Standard_NC4as_T4_v3", "vm_priority": "LowPriority", "ssh_public_access_enabled": False,
             "scale_settings": [{"min_node_count": 0, "max_node_count": 2, "scale_down_nodes_after_idle_duration": None}]},
        ),
    ],
)  # fmt: skip
def test_attributes_have_terraforms_names(type: str, attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read(type, attributes) == expected


def test_a_machine_without_a_password_is_read_as_one() -> None:
    system = {"adminUsername": "mlinfra", "linuxConfiguration": {"disablePasswordAuthentication": True}}
    found = read("azure.virtual_machine", {"name": "m", "osProfile": system, "hardwareProfile": {"vmSize": "Standard_D4as_v4"}})
    assert (found["size"], found["admin_username"], found["disable_password_authentication"]) == (
        "Standard_D4as_v4",
        "mlinfra",
        True,
    )
