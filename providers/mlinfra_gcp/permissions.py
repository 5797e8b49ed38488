"""Whether the credentials may do what a plan needs, asked once for all of it.

https://cloud.google.com/resource-manager/reference/rest/v3/projects/testIamPermissions; the names of permissions:
https://cloud.google.com/iam/docs/permissions-reference
"""

from __future__ import annotations

import asyncio

from mlinfra.provider.failures import Denied, Failure
from mlinfra_gcp.client import GcpClient

CREATE = (
    "aiplatform.customJobs.create", "aiplatform.endpoints.create", "aiplatform.models.upload", "aiplatform.persistentResources.create",
    "aiplatform.pipelineJobs.create", "aiplatform.schedules.create", "artifactregistry.repositories.create",
    "cloudscheduler.jobs.create", "compute.disks.create", "compute.firewalls.create", "compute.instanceGroupManagers.create",
    "compute.instanceTemplates.create", "compute.instances.create", "compute.networks.create", "iam.serviceAccounts.create",
    "monitoring.alertPolicies.create", "run.services.create", "secretmanager.secrets.create", "storage.buckets.create",
    "tpu.nodes.create",
)  # fmt: skip
"""What creating this provider's types needs of a project. One request asks for all (it takes a hundred)."""


async def require(client: GcpClient, project: str, permission: str) -> bool:
    """Denied when the credentials lack ``permission`` in ``project``; False when that could not be asked."""
    asked = client.asked.get(project)
    if asked is None:
        asked = client.asked[project] = asyncio.ensure_future(_held(client, project))
    held = await asked
    if held is None or permission not in CREATE:
        return False
    if permission not in held:
        raise Denied(
            f"these credentials lack the permission {permission} in project {project}",
            hint=f"gcloud projects get-iam-policy {project}; https://cloud.google.com/iam/docs/permissions-reference lists the "
            f"roles that hold {permission}",
        )
    return True


async def _held(client: GcpClient, project: str) -> frozenset[str] | None:
    """Those of ``CREATE`` that the credentials hold; None where nobody tells."""
    try:
        answer = await client.call(
            "cloudresourcemanager.v3",
            "projects.testIamPermissions",
            {"resource": f"projects/{project}"},
            {"permissions": list(CREATE)},
        )
    except Failure:
        return None  # the Resource Manager's API is not enabled: no reason not to make what its own API allows
    return frozenset(answer.get("permissions") or ())
