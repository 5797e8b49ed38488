"""``gcp.run_service``. https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services"""

from __future__ import annotations

from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Row


class RunService(TableType):
    """A Cloud Run service."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.run_service", doc="run.v2", collection="projects.locations.services", schema="GoogleCloudRunV2Service",
                scope="location", chosen="serviceId", extra={"uri": lambda b: b.get("uri", "")},
                name_pattern=r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?", serves=True, costs=True,
            )
        )  # fmt: skip
