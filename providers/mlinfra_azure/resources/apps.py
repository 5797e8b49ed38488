"""``azure.container_app``, ``azure.container_app_environment``, ``azure.log_analytics_workspace``.

https://learn.microsoft.com/rest/api/containerapps
"""

from __future__ import annotations

from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_APP = (r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", "1 to 32 lower-case letters, digits and -, a letter first")
_MADE = "set when it is made ({})"


class ContainerApp(TableType):
    """Containers behind an address of their own."""

    def __init__(self) -> None:
        arm = "Microsoft.App/containerApps"
        super().__init__(
            Row(
                type="azure.container_app", arm=arm, home="group", changes="patch", name_rule=_APP, serves=True, costs=True,
                fixed={n: _MADE.format(f"{arm}@2026-01-01")
                       for n in ("managedEnvironmentId", "environmentId", "extendedLocation", "kind", "managedBy")},
                unread=("configuration.secrets.value",), outputs={"fqdn": "properties.configuration.ingress.fqdn"},
            )
        )  # fmt: skip


class ContainerAppEnvironment(TableType):
    """What container apps run in."""

    def __init__(self) -> None:
        arm = "Microsoft.App/managedEnvironments"
        super().__init__(
            Row(
                type="azure.container_app_environment", arm=arm, home="group", changes="patch",
                fixed={n: _MADE.format(f"{arm}@2026-01-01") for n in ("vnetConfiguration", "zoneRedundant", "infrastructureResourceGroup", "kind")},
                unread=("appLogsConfiguration.logAnalyticsConfiguration.sharedKey",), outputs={"defaultDomain": "properties.defaultDomain"},
                name_rule=(r"[a-zA-Z]([a-zA-Z0-9-]{0,58}[a-zA-Z0-9])?", "1 to 60 letters, digits and -, a letter first"), costs=True,
            )
        )  # fmt: skip


class LogAnalyticsWorkspace(TableType):
    """Where logs go."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="azure.log_analytics_workspace", arm="Microsoft.OperationalInsights/workspaces", home="group",
                outputs={"customerId": "properties.customerId"},
                name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]", "4 to 63 letters, digits and -"), costs=True,
            )
        )  # fmt: skip
