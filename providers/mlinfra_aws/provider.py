"""The AWS provider: name, settings, connection, and where its types and lowerings are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlinfra.provider.contract import Lazy, Lowering, ProviderContext, ResourceType

if TYPE_CHECKING:
    from mlinfra.provider.terraform import TerraformType

_HERE = "mlinfra_aws"


class AwsProvider:
    """Amazon Web Services. Native types take CloudFormation's property names."""

    name = "aws"
    types: Mapping[str, ResourceType] = Lazy(
        {
            "aws.s3_bucket": f"{_HERE}.resources.s3:BUCKET",
            "aws.iam_role": f"{_HERE}.resources.iam:ROLE",
            "aws.iam_policy": f"{_HERE}.resources.iam:POLICY",
            "aws.iam_role_policy_attachment": f"{_HERE}.resources.iam:ATTACHMENT",
            "aws.iam_instance_profile": f"{_HERE}.resources.iam:INSTANCE_PROFILE",
            "aws.sagemaker_model": f"{_HERE}.resources.sagemaker:MODEL",
            "aws.sagemaker_endpoint_config": f"{_HERE}.resources.sagemaker:ENDPOINT_CONFIG",
            "aws.sagemaker_endpoint": f"{_HERE}.resources.sagemaker:ENDPOINT",
            "aws.sagemaker_model_package_group": f"{_HERE}.resources.sagemaker:MODEL_PACKAGE_GROUP",
            "aws.sagemaker_model_package": f"{_HERE}.resources.sagemaker:MODEL_PACKAGE",
        }
    )
    lowerings: Mapping[str, Lowering] = Lazy({})
    everywhere: frozenset[str] = frozenset()
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
