"""``azure.ml_online_endpoint``, ``azure.ml_online_deployment``. https://learn.microsoft.com/rest/api/azureml/online-endpoints"""

from __future__ import annotations

from mlinfra_azure.engine.resource import TableType
from mlinfra_azure.table import Row

_MADE = "set when it is made ({})"
_NAME = (r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]", "3 to 32 letters, digits and -, a letter first")


class MlOnlineEndpoint(TableType):
    """An address that answers. What its traffic goes to is ``azure.ml_traffic``, for it can name only deployments that there are."""

    def __init__(self) -> None:
        arm = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
        super().__init__(
            Row(
                type="azure.ml_online_endpoint", arm=arm, hidden=("traffic", "mirrorTraffic"), name_rule=_NAME,
                fixed={n: _MADE.format(f"{arm}@2026-05-01") for n in ("authMode", "compute", "kind", "identity")},
                secret=("keys",), unread=("keys",), serves=True,
                outputs={"scoringUri": "properties.scoringUri", "swaggerUri": "properties.swaggerUri", "principalId": "identity.principalId"},
            )
        )  # fmt: skip


class MlOnlineDeployment(TableType):
    """One variant behind an endpoint: a model or an image on machines of its own."""

    def __init__(self) -> None:
        arm = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"
        why = _MADE.format(f"{arm}@2026-05-01")
        super().__init__(
            Row(
                type="azure.ml_online_deployment", arm=arm, name_rule=_NAME,
                fixed={**{n: why for n in ("instanceType", "endpointComputeType", "egressPublicNetworkAccess", "kind", "identity", "modelMountPath")},
                       "sku.name": why},
                serves=True, costs=True, create_first=True,
            )
        )  # fmt: skip
