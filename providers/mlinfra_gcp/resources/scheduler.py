"""``gcp.scheduler_job``. https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs"""

from __future__ import annotations

from mlinfra_gcp.engine.resource import TableType
from mlinfra_gcp.table import Row


class SchedulerJob(TableType):
    """A job of Cloud Scheduler. It has no labels: its description says whose it is."""

    def __init__(self) -> None:
        super().__init__(
            Row(
                type="gcp.scheduler_job", doc="cloudscheduler.v1", collection="projects.locations.jobs", schema="Job",
                scope="location", chosen="fullname", marks=("description",), limit=499, hidden=("status", "state", "userUpdateTime"),
                name_pattern=r"[a-zA-Z0-9_-]{1,500}",
            )
        )  # fmt: skip
