"""Azure's addresses and ids: pure functions of settings, project and environment."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from mlinfra.model.values import Value
from mlinfra.provider.naming import physical_name

CLOUDS: Mapping[str, Mapping[str, str]] = {
    "public": {
        "arm": "https://management.azure.com", "blob": "https://{account}.blob.core.windows.net",
        "authority": "https://login.microsoftonline.com",
    },
    "china": {
        "arm": "https://management.chinacloudapi.cn", "blob": "https://{account}.blob.core.chinacloudapi.cn",
        "authority": "https://login.chinacloudapi.cn",
    },
    "government": {
        "arm": "https://management.usgovcloudapi.net", "blob": "https://{account}.blob.core.usgovcloudapi.net",
        "authority": "https://login.microsoftonline.us",
    },
}  # fmt: skip
"""https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure, https://learn.microsoft.com/azure/china/resources-developer-guide"""


def address(settings: Mapping[str, Value], service: str) -> str:
    """Where a service is spoken to: ``arm``, ``blob`` (holds ``{account}``, maybe), ``authority``. No slash at its end."""
    given = (settings.get("authority") if service == "authority" else None) or (settings.get("endpoints") or {}).get(service)
    return str(given or CLOUDS[settings.get("cloud") or "public"][service]).rstrip("/")


def blob_address(settings: Mapping[str, Value], account: str) -> str:
    """Where a storage account's blobs lie."""
    return address(settings, "blob").replace("{account}", account)


def group_name(settings: Mapping[str, Value], project: str, environment: str) -> str:
    """The resource group in which things are made."""
    return str(settings.get("resource_group") or physical_name("mlinfra", project, environment, limit=90))


def group_id(settings: Mapping[str, Value], project: str, environment: str) -> str:
    return f"/subscriptions/{settings['subscription']}/resourceGroups/{group_name(settings, project, environment)}"


def assignment_name(scope: str, role: str, principal: str) -> str:
    """The GUID that names a role assignment: the same for the same grant, so that it is never made twice."""
    return str(uuid.uuid5(_GRANTS, "|".join(part.lower() for part in (scope, role, principal))))


_GRANTS = uuid.UUID("0d9ffb28-79c5-5a13-9c0c-6f3a0a5b7c11")

_ID = re.compile(r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?(/providers/[^/]+(/[^/]+/[^/]+)+)*\Z", re.IGNORECASE)


def is_id(text: str) -> bool:
    """Whether a text is an ARM id of something in a subscription."""
    return bool(_ID.match(text))


def type_of(identity: str) -> str:
    """The ARM type that an id names: ``Microsoft.Storage/storageAccounts/blobServices``."""
    _, found, rest = identity.rpartition("/providers/")
    if not found:
        return (
            "Microsoft.Resources/resourceGroups"
            if "/resourcegroups/" in identity.lower()
            else "Microsoft.Resources/subscriptions"
        )
    steps = rest.split("/")
    return "/".join([steps[0], *steps[1::2]])
