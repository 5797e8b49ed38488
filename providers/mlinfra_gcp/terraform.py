"""What Terraform calls our GCP types and their properties: HashiCorp's Google provider 6, by its documentation. REST's names in
snake_case, maps as blocks; the rest is listed."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.values import EMPTY, Map, Value
from mlinfra.provider.terraform import TerraformType, block, snake
from mlinfra.provider.zilliz.terraform import CLUSTER

_PLAIN = ("labels", "annotations", "metadata", "userLabels")
"""Maps whose keys are the user's."""


def _blocks(attributes: Map) -> Mapping[str, Value]:
    """Every map as a block of one."""
    return {snake(k): block(v) for k, v in attributes.items() if isinstance(v, (Map, tuple)) and k not in _PLAIN}


def _bucket(attributes: Map) -> Mapping[str, Value]:
    """Terraform has the access settings at the top, by names of its own."""
    found = {k: v for k, v in _blocks(attributes).items() if k != "iam_configuration"}
    access = attributes.get("iamConfiguration", EMPTY)
    if isinstance(access, Map):
        uniform = access.get("uniformBucketLevelAccess", EMPTY)
        if isinstance(uniform, Map) and "enabled" in uniform:
            found["uniform_bucket_level_access"] = uniform["enabled"]
        if "publicAccessPrevention" in access:
            found["public_access_prevention"] = access["publicAccessPrevention"]
    return found


def _type(name: str, attributes: Mapping[str, str] | None = None) -> TerraformType:
    return TerraformType(name=name, attributes=attributes or {}, shape=_blocks, verbatim=_PLAIN)


TYPES: Mapping[str, TerraformType] = {
    "gcp.storage_bucket": TerraformType(
        name="google_storage_bucket", attributes={"iamConfiguration": ""}, shape=_bucket, verbatim=_PLAIN
    ),
    "gcp.service_account": _type("google_service_account"),
    "gcp.project_iam_member": _type("google_project_iam_member"),
    "gcp.artifact_registry_repository": _type("google_artifact_registry_repository"),
    "gcp.compute_disk": _type("google_compute_disk", {"sizeGb": "size", "sourceImage": "image"}),
    "gcp.compute_instance": _type("google_compute_instance", {"networkInterfaces": "network_interface"}),
    "gcp.compute_instance_template": _type("google_compute_instance_template"),
    "gcp.compute_instance_group_manager": _type("google_compute_instance_group_manager"),
    "gcp.compute_firewall": _type("google_compute_firewall"),
    "gcp.compute_network": _type("google_compute_network"),
    "gcp.vertex_endpoint": _type("google_vertex_ai_endpoint"),
    "gcp.run_service": _type("google_cloud_run_v2_service"),
    "gcp.scheduler_job": _type("google_cloud_scheduler_job"),
    "gcp.monitoring_alert_policy": _type("google_monitoring_alert_policy"),
    "gcp.secret": _type("google_secret_manager_secret"),
    "gcp.zilliz_cluster": CLUSTER,
}
