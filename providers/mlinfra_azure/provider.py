"""The Azure provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

if TYPE_CHECKING:
    from mlinfra.provider.terraform import TerraformType

_HERE = "mlinfra_azure"


class AzureProvider:
    """Microsoft Azure, by Azure Resource Manager."""

    name = "azure"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "azure.resource_group": f"{_HERE}.resources.groups:ResourceGroup()",
            "azure.storage_account": f"{_HERE}.resources.storage:StorageAccount()",
            "azure.blob_service": f"{_HERE}.resources.storage:BlobService()",
            "azure.storage_container": f"{_HERE}.resources.storage:StorageContainer()",
            "azure.storage_management_policy": f"{_HERE}.resources.storage:ManagementPolicy()",
            "azure.user_assigned_identity": f"{_HERE}.resources.identity:UserAssignedIdentity()",
            "azure.role_assignment": f"{_HERE}.resources.identity:RoleAssignment()",
            "azure.key_vault": f"{_HERE}.resources.key_vault:KeyVault()",
            "azure.container_registry": f"{_HERE}.resources.container_registry:ContainerRegistry()",
            "azure.ml_workspace": f"{_HERE}.resources.ml_workspace:MlWorkspace()",
            "azure.ml_registry": f"{_HERE}.resources.ml_workspace:MlRegistry()",
            "azure.ml_datastore": f"{_HERE}.resources.ml_workspace:MlDatastore()",
            "azure.ml_compute": f"{_HERE}.resources.ml_compute:MlCompute()",
            "azure.ml_model": f"{_HERE}.resources.ml_assets:MlModel()",
            "azure.ml_data": f"{_HERE}.resources.ml_assets:MlData()",
            "azure.ml_environment": f"{_HERE}.resources.ml_assets:MlEnvironment()",
            "azure.ml_component": f"{_HERE}.resources.ml_assets:MlComponent()",
            "azure.ml_code": f"{_HERE}.resources.ml_assets:MlCode()",
            "azure.ml_model_version": f"{_HERE}.resources.ml_assets:MlModelVersion()",
            "azure.ml_data_version": f"{_HERE}.resources.ml_assets:MlDataVersion()",
            "azure.ml_environment_version": f"{_HERE}.resources.ml_assets:MlEnvironmentVersion()",
            "azure.ml_component_version": f"{_HERE}.resources.ml_assets:MlComponentVersion()",
            "azure.ml_code_version": f"{_HERE}.resources.ml_assets:MlCodeVersion()",
            "azure.ml_job": f"{_HERE}.resources.ml_jobs:MlJob()",
            "azure.ml_schedule": f"{_HERE}.resources.ml_jobs:MlSchedule()",
            "azure.ml_online_endpoint": f"{_HERE}.resources.ml_endpoints:MlOnlineEndpoint()",
            "azure.ml_online_deployment": f"{_HERE}.resources.ml_endpoints:MlOnlineDeployment()",
            "azure.ml_traffic": f"{_HERE}.resources.ml_traffic:MlTraffic()",
            "azure.virtual_network": f"{_HERE}.resources.network:VirtualNetwork()",
            "azure.subnet": f"{_HERE}.resources.network:Subnet()",
            "azure.network_security_group": f"{_HERE}.resources.network:NetworkSecurityGroup()",
            "azure.public_ip": f"{_HERE}.resources.network:PublicIp()",
            "azure.network_interface": f"{_HERE}.resources.network:NetworkInterface()",
            "azure.disk": f"{_HERE}.resources.compute:Disk()",
            "azure.virtual_machine": f"{_HERE}.resources.compute:VirtualMachine()",
            "azure.vm_scale_set": f"{_HERE}.resources.compute:VmScaleSet()",
            "azure.container_app": f"{_HERE}.resources.apps:ContainerApp()",
            "azure.container_app_environment": f"{_HERE}.resources.apps:ContainerAppEnvironment()",
            "azure.log_analytics_workspace": f"{_HERE}.resources.apps:LogAnalyticsWorkspace()",
            "azure.arm": f"{_HERE}.resources.arm:Arm()",
            "azure.dataset": f"{_HERE}.resources.dataset:Dataset()",
            "azure.text_files": f"{_HERE}.resources.text_files:TextFiles()",
            "azure.training_run": f"{_HERE}.resources.training_run:TrainingRun()",
            "azure.pipeline_run": f"{_HERE}.resources.pipeline_run:PipelineRun()",
            "azure.registered_version": f"{_HERE}.resources.registered_version:RegisteredVersion()",
            "azure.traffic_split": f"{_HERE}.resources.traffic_split:TrafficSplit()",
            "azure.ray_run": f"{_HERE}.resources.ray_run:AzureRayRun()",
            "azure.image": f"{_HERE}.resources.image:Image()",
            "azure.zilliz_cluster": "mlinfra.provider.zilliz.cluster:ZillizCluster()",
            "azure.reachable": "mlinfra.provider.reachable:Reachable()",
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
        from mlinfra_azure.terraform import TYPES

        return TYPES

    @property
    def config(self) -> type[Any]:
        from mlinfra_azure.settings import AzureConfig

        return AzureConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_azure.client import AzureClient

        return AzureClient(config, context)
