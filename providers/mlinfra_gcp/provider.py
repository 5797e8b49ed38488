"""The GCP provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

if TYPE_CHECKING:
    from mlinfra.provider.terraform import TerraformType

_HERE = "mlinfra_gcp"


class GcpProvider:
    """Google Cloud, by its REST APIs."""

    name = "gcp"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "gcp.storage_bucket": f"{_HERE}.resources.storage:StorageBucket()",
            "gcp.service_account": f"{_HERE}.resources.identity:ServiceAccount()",
            "gcp.project_iam_member": f"{_HERE}.resources.identity:ProjectIamMember()",
            "gcp.artifact_registry_repository": f"{_HERE}.resources.artifacts:Repository()",
            "gcp.compute_disk": f"{_HERE}.resources.compute:Disk()",
            "gcp.compute_instance": f"{_HERE}.resources.compute:Instance()",
            "gcp.compute_instance_template": f"{_HERE}.resources.compute:InstanceTemplate()",
            "gcp.compute_instance_group_manager": f"{_HERE}.resources.compute:InstanceGroupManager()",
            "gcp.compute_firewall": f"{_HERE}.resources.compute:Firewall()",
            "gcp.compute_network": f"{_HERE}.resources.compute:Network()",
            "gcp.tpu_queued_resource": f"{_HERE}.resources.tpu:QueuedResource()",
            "gcp.vertex_endpoint": f"{_HERE}.resources.vertex_endpoint:Endpoint()",
            "gcp.vertex_deployed_model": f"{_HERE}.resources.vertex_endpoint:DeployedModel()",
            "gcp.vertex_traffic": f"{_HERE}.resources.vertex_endpoint:Traffic()",
            "gcp.vertex_model": f"{_HERE}.resources.vertex_model:Model()",
            "gcp.vertex_model_aliases": f"{_HERE}.resources.vertex_model:ModelAliases()",
            "gcp.vertex_custom_job": f"{_HERE}.resources.vertex_jobs:CustomJob()",
            "gcp.vertex_pipeline_job": f"{_HERE}.resources.vertex_jobs:PipelineJob()",
            "gcp.vertex_schedule": f"{_HERE}.resources.vertex_jobs:Schedule()",
            "gcp.vertex_persistent_resource": f"{_HERE}.resources.vertex_jobs:PersistentResource()",
            "gcp.run_service": f"{_HERE}.resources.run:RunService()",
            "gcp.scheduler_job": f"{_HERE}.resources.scheduler:SchedulerJob()",
            "gcp.monitoring_alert_policy": f"{_HERE}.resources.monitoring:AlertPolicy()",
            "gcp.secret": f"{_HERE}.resources.secret:SecretType()",
            "gcp.image": f"{_HERE}.resources.image:Image()",
            "gcp.zilliz_cluster": "mlinfra.provider.zilliz.cluster:ZillizCluster()",
            "gcp.dataset": f"{_HERE}.resources.dataset:Dataset()",
            "gcp.training_run": f"{_HERE}.resources.training_run:TrainingRun()",
            "gcp.ray_run": f"{_HERE}.resources.ray_run:RayRun()",
            "gcp.pipeline_run": f"{_HERE}.resources.pipeline_run:PipelineRun()",
            "gcp.job_hardware": f"{_HERE}.resources.machines:JobHardware()",
            "gcp.reachable": "mlinfra.provider.reachable:Reachable()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy(
        {
            kind: f"{_HERE}.lowering.{kind}:lower"
            for kind in (
                "bucket", "dataset", "data_pipeline", "training_cluster", "training_job", "model_registry", "model", "endpoint",
                "vector_database", "image",
            )
        }
    )  # fmt: skip
    everywhere: frozenset[str] = frozenset()
    max_concurrency = 64

    @property
    def terraform(self) -> Mapping[str, TerraformType]:
        """What Terraform calls these types (for the plan's JSON)."""
        from mlinfra_gcp.terraform import TYPES

        return TYPES

    @property
    def config(self) -> type[Any]:
        from mlinfra_gcp.settings import GcpConfig

        return GcpConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_gcp.client import GcpClient

        return GcpClient(config, context)
