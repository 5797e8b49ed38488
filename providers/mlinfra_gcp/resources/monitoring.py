"""``gcp.monitoring_alert_policy``. https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies"""

from __future__ import annotations

from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Row


class AlertPolicy(TableType):
    """An alert. Google chooses its name: a crash's leftover is found by its label."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.monitoring_alert_policy", doc="monitoring.v3", collection="projects.alertPolicies", schema="AlertPolicy",
                scope="project", chosen="", marks=("userLabels",), search='user_labels.mlinfra-op="{token}"',
                hidden=("creationRecord", "mutationRecord", "validity"),
            )
        )  # fmt: skip
