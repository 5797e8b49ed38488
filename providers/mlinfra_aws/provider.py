"""The AWS provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType
from mlinfra_aws.plain import AT_SIGHT, DEFAULTS

if TYPE_CHECKING:
    from mlinfra.provider.terraform import TerraformType

_HERE = "mlinfra_aws"


class AwsProvider:
    """Amazon Web Services. Native types take CloudFormation's property names."""

    name = "aws"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "aws.s3_bucket": f"{_HERE}.resources.s3:BUCKET",
            "aws.s3_object": f"{_HERE}.resources.s3_object:OBJECT",
            "aws.resource": f"{_HERE}.resources.cloudcontrol:RESOURCE",
            "aws.iam_role": f"{_HERE}.resources.iam:ROLE",
            "aws.iam_policy": f"{_HERE}.resources.iam:POLICY",
            "aws.iam_role_policy_attachment": f"{_HERE}.resources.iam:ATTACHMENT",
            "aws.iam_instance_profile": f"{_HERE}.resources.iam:INSTANCE_PROFILE",
            "aws.sagemaker_model": f"{_HERE}.resources.sagemaker:MODEL",
            "aws.sagemaker_endpoint_config": f"{_HERE}.resources.sagemaker:ENDPOINT_CONFIG",
            "aws.sagemaker_endpoint": f"{_HERE}.resources.sagemaker:ENDPOINT",
            "aws.sagemaker_model_package_group": f"{_HERE}.resources.sagemaker:MODEL_PACKAGE_GROUP",
            "aws.sagemaker_model_package": f"{_HERE}.resources.sagemaker:MODEL_PACKAGE",
            "aws.sagemaker_pipeline": f"{_HERE}.resources.sagemaker_work:PIPELINE",
            "aws.sagemaker_training_job": f"{_HERE}.resources.sagemaker_work:TRAINING_JOB",
            "aws.sagemaker_notebook_instance": f"{_HERE}.resources.sagemaker_work:NOTEBOOK",
            "aws.sagemaker_mlflow_tracking_server": f"{_HERE}.resources.sagemaker_work:TRACKING_SERVER",
            "aws.sagemaker_cluster": f"{_HERE}.resources.sagemaker_work:CLUSTER",
            "aws.security_group": f"{_HERE}.resources.security_group:SECURITY_GROUP",
            "aws.launch_template": f"{_HERE}.resources.launch_template:LAUNCH_TEMPLATE",
            "aws.instance": f"{_HERE}.resources.instance:INSTANCE",
            "aws.ebs_volume": f"{_HERE}.resources.volumes:VOLUME",
            "aws.volume_attachment": f"{_HERE}.resources.volumes:VOLUME_ATTACHMENT",
            "aws.autoscaling_group": f"{_HERE}.resources.autoscaling:GROUP",
            "aws.scheduler_schedule": f"{_HERE}.resources.scheduling:SCHEDULE",
            "aws.step_functions_state_machine": f"{_HERE}.resources.scheduling:STATE_MACHINE",
            "aws.appautoscaling_target": f"{_HERE}.resources.scheduling:SCALING_TARGET",
            "aws.appautoscaling_policy": f"{_HERE}.resources.scheduling:SCALING_POLICY",
            "aws.secretsmanager_secret": f"{_HERE}.resources.secrets:SECRET",
            "aws.ecr_repository": f"{_HERE}.resources.ecr:REPOSITORY",
            "aws.dynamodb_table": f"{_HERE}.resources.dynamodb:TABLE",
            "aws.cloudwatch_alarm": f"{_HERE}.resources.observability:ALARM",
            "aws.eventbridge_rule": f"{_HERE}.resources.observability:RULE",
            "aws.zilliz_cluster": "mlinfra.provider.zilliz.cluster:ZillizCluster()",
            # what only portable kinds need
            "aws.image": f"{_HERE}.resources.image:IMAGE",
            "aws.dataset": f"{_HERE}.resources.dataset:Dataset()",
            "aws.model_artifact": f"{_HERE}.resources.artifact:ModelArtifact()",
            "aws.run_code": f"{_HERE}.resources.code:RunCode()",
            "aws.pipeline_run": f"{_HERE}.resources.pipeline_run:PipelineRun()",
            "aws.ray_run": f"{_HERE}.resources.ray_run:RUN",
            "aws.training_run": f"{_HERE}.resources.training_run:TrainingRun()",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy(
        {
            kind: f"{_HERE}.lowering.{kind}:lower"
            for kind in (
                "bucket",
                "dataset",
                "data_pipeline",
                "training_cluster",
                "training_job",
                "model_registry",
                "model",
                "endpoint",
                "image",
                "vector_database",
            )
        }
    )
    everywhere: frozenset[str] = frozenset()
    defaults = DEFAULTS
    at_sight = AT_SIGHT
    max_concurrency = 64

    @property
    def terraform(self) -> Mapping[str, TerraformType]:
        """What Terraform calls these types (for the plan's JSON)."""
        from mlinfra_aws.terraform import TYPES

        return TYPES

    @property
    def config(self) -> type[Any]:
        from mlinfra_aws.settings import AwsConfig

        return AwsConfig

    async def connect(self, config: Any, context: ProviderContext) -> Any:
        from mlinfra_aws.client import Aws

        client = Aws(config, context)
        await client.open()
        return client

    @classmethod
    def cloudformation(cls) -> Iterator[str]:
        """CloudFormation's names of the types that have a table here."""
        for name in cls.types:
            table = getattr(cls.types[name], "table", None)
            if table is not None:
                yield table.cloudformation
