"""The AWS provider against the contract that every provider must meet, on moto with its gaps filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.provider.contract import Finds
from mlinfra.provider.testing import Given, ProviderContract, Sample, World
from mlinfra.provider.testing.contract import can
from mlinfra_aws.provider import AwsProvider

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/serve:1"
ROLE = Given(type="aws.iam_role", attributes={"RoleName": "worker", "AssumeRolePolicyDocument": TRUST})


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in values.items()]


def model(name: str = "m1", data: str = "s3://models/1.tar.gz") -> Given:
    return Given(
        type="aws.sagemaker_model",
        attributes=lambda w: {
            "ModelName": name,
            "ExecutionRoleArn": w["role"].attributes["Arn"],
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": data},
        },
    )


def variants(model: str, count: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": "main",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
            "InitialVariantWeight": 1.0,
        }
    ]


def config(name: str, count: int = 1) -> Given:
    return Given(
        type="aws.sagemaker_endpoint_config", attributes={"EndpointConfigName": name, "ProductionVariants": variants("m1", count)}
    )


def training_job(w: World, name: str, instance: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": w["role"].attributes["Arn"],
        "OutputDataConfig": {"S3OutputPath": "s3://artifacts/jobs"},
        "ResourceConfig": {"InstanceType": instance, "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "HyperParameters": {"C": "0.1"},
        "Tags": tags(team="ml"),
    }


def cluster(w: World, name: str, count: int) -> dict[str, Any]:
    return {
        "ClusterName": name,
        "InstanceGroups": [
            {
                "InstanceGroupName": "workers",
                "InstanceType": "ml.c5.2xlarge",
                "InstanceCount": count,
                "ExecutionRole": w["role"].attributes["Arn"],
                "LifeCycleConfig": {"SourceS3Uri": "s3://sagemaker-lifecycle/x", "OnCreate": "on_create.sh"},
            }
        ],
    }


def dynamo(name: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "SSESpecification": {"SSEEnabled": True},
    }


def alarm(name: str, threshold: float) -> dict[str, Any]:
    return {
        "AlarmName": name,
        "MetricName": "Invocation5XXErrors",
        "Namespace": "AWS/SageMaker",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "EndpointName", "Value": "api"}],
    }


SAMPLES = (
    Sample(
        type="aws.s3_bucket",
        create={
            "BucketName": "contract-raw",
            "VersioningConfiguration": {"Status": "Enabled"},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}]
            },
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True,
            },
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "old", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 30,
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                        "Transition": {"StorageClass": "GLACIER", "TransitionInDays": 10},
                    }
                ]
            },
            "Tags": tags(team="ml"),
        },
        update={
            "BucketName": "contract-raw",
            "VersioningConfiguration": {"Status": "Suspended"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "Tags": tags(team="data", cost="1"),
        },
        replace={"BucketName": "contract-other"},
    ),
    Sample(
        type="aws.iam_role",
        create={
            "RoleName": "contract",
            "AssumeRolePolicyDocument": TRUST,
            "Policies": [{"PolicyName": "read", "PolicyDocument": READ}],
            
            "Tags": tags(team="ml"),
        },
        update={
            "RoleName": "contract",
            "AssumeRolePolicyDocument": TRUST,
            "Description": "reads",
            "MaxSessionDuration": 7200,
            "Tags": tags(team="data"),
        },
        replace={"RoleName": "contract-2", "AssumeRolePolicyDocument": TRUST},
    ),
    Sample(
        type="aws.iam_policy",
        create={"ManagedPolicyName": "contract", "PolicyDocument": READ, "Tags": tags(team="ml")},
        update={
            "ManagedPolicyName": "contract",
            "PolicyDocument": {**READ, "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]},
        },
        replace={"ManagedPolicyName": "contract-2", "PolicyDocument": READ},
    ),
    Sample(
        type="aws.iam_role_policy_attachment",
        needs={
            "role": ROLE,
            "policy": Given(type="aws.iam_policy", attributes={"ManagedPolicyName": "p", "PolicyDocument": READ}),
            "other": Given(type="aws.iam_policy", attributes={"ManagedPolicyName": "o", "PolicyDocument": READ}),
        },
        create=lambda w: {"RoleName": "worker", "PolicyArn": w["policy"].id},
        replace=lambda w: {"RoleName": "worker", "PolicyArn": w["other"].id},
        alone=False,
    ),
    Sample(
        type="aws.iam_instance_profile",
        needs={"role": ROLE, "other": Given(type="aws.iam_role", attributes={"RoleName": "other", "AssumeRolePolicyDocument": TRUST})},
        create={"InstanceProfileName": "contract", "Roles": ["worker"], "Tags": tags(team="ml")},
        update={"InstanceProfileName": "contract", "Roles": ["other"]},
        replace={"InstanceProfileName": "contract-2", "Roles": ["worker"]},
    ),
    Sample(
        type="aws.sagemaker_model",
        needs={"role": ROLE},
        create=model("contract").attributes,
        update=lambda w: {**model("contract").attributes(w), "Tags": tags(team="data")},  # type: ignore[operator]
        replace=model("contract-2", "s3://models/2.tar.gz").attributes,
    ),
    Sample(
        type="aws.sagemaker_endpoint_config",
        needs={"role": ROLE, "model": model()},
        create={"EndpointConfigName": "contract-a", "ProductionVariants": variants("m1")},
        replace={"EndpointConfigName": "contract-b", "ProductionVariants": variants("m1", 2)},
    ),
    Sample(
        type="aws.sagemaker_endpoint",
        needs={"role": ROLE, "model": model(), "a": config("a"), "b": config("b", 2)},
        create={"EndpointName": "contract", "EndpointConfigName": "a", "Tags": tags(team="ml")},
        update={"EndpointName": "contract", "EndpointConfigName": "b"},
        replace={"EndpointName": "contract-2", "EndpointConfigName": "a"},
    ),
    Sample(
        type="aws.sagemaker_model_package_group",
        create={"ModelPackageGroupName": "contract", "ModelPackageGroupDescription": "models"},
        update={"ModelPackageGroupName": "contract", "ModelPackageGroupDescription": "models", "Tags": tags(a="b")},
        replace={"ModelPackageGroupName": "contract-2"},
    ),
    Sample(
        type="aws.sagemaker_model_package",
        needs={"group": Given(type="aws.sagemaker_model_package_group", attributes={"ModelPackageGroupName": "g"})},
        create={
            "ModelPackageGroupName": "g",
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/1.tar.gz"}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "CustomerMetadataProperties": {"digest": "abc"},
        },
        update={
            "ModelPackageGroupName": "g",
            "ModelApprovalStatus": "Approved",
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/1.tar.gz"}],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "CustomerMetadataProperties": {"digest": "abc", "alias": "champion"},
        },
    ),
    Sample(
        type="aws.sagemaker_pipeline",
        needs={"role": ROLE},
        create=lambda w: {
            "PipelineName": "contract",
            "PipelineDefinition": {"PipelineDefinitionBody": '{"Version":"2020-12-01","Steps":[]}'},
            "RoleArn": w["role"].attributes["Arn"],
            "Tags": tags(team="ml"),
        },
        update=lambda w: {
            "PipelineName": "contract",
            "PipelineDefinition": {"PipelineDefinitionBody": '{"Version":"2020-12-01","Steps":[],"Parameters":[]}'},
            "RoleArn": w["role"].attributes["Arn"],
            "PipelineDescription": "trains",
        },
        replace=lambda w: {
            "PipelineName": "contract-2",
            "PipelineDefinition": {"PipelineDefinitionBody": '{"Version":"2020-12-01","Steps":[]}'},
            "RoleArn": w["role"].attributes["Arn"],
        },
    ),
    Sample(
        type="aws.sagemaker_training_job",
        needs={"role": ROLE},
        create=lambda w: training_job(w, "contract", "ml.m5.large"),
        replace=lambda w: training_job(w, "contract-2", "ml.g5.xlarge"),
    ),
    Sample(
        type="aws.sagemaker_notebook_instance",
        needs={"role": ROLE},
        create=lambda w: {"NotebookInstanceName": "contract", "InstanceType": "ml.t3.medium", "RoleArn": w["role"].attributes["Arn"]},
        update=lambda w: {
            "NotebookInstanceName": "contract",
            "InstanceType": "ml.t3.xlarge",
            "RoleArn": w["role"].attributes["Arn"],
            "Tags": tags(team="ml"),
        },
        replace=lambda w: {"NotebookInstanceName": "contract-2", "InstanceType": "ml.t3.medium", "RoleArn": w["role"].attributes["Arn"]},
    ),
    Sample(
        type="aws.sagemaker_mlflow_tracking_server",
        needs={"role": ROLE},
        create=lambda w: {
            "TrackingServerName": "contract",
            "ArtifactStoreUri": "s3://artifacts/mlflow",
            "RoleArn": w["role"].attributes["Arn"],
            "TrackingServerSize": "Small",
        },
        update=lambda w: {
            "TrackingServerName": "contract",
            "ArtifactStoreUri": "s3://artifacts/mlflow",
            "RoleArn": w["role"].attributes["Arn"],
            "TrackingServerSize": "Medium",
            "Tags": tags(team="ml"),
        },
        replace=lambda w: {
            "TrackingServerName": "contract-2",
            "ArtifactStoreUri": "s3://artifacts/mlflow",
            "RoleArn": w["role"].attributes["Arn"],
        },
    ),
    Sample(
        type="aws.sagemaker_cluster",
        needs={"role": ROLE},
        create=lambda w: cluster(w, "contract", 1),
        replace=lambda w: cluster(w, "contract-2", 1),
    ),
    Sample(
        type="aws.ecr_repository",
        create={
            "RepositoryName": "team/contract",
            "ImageTagMutability": "IMMUTABLE",
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "LifecyclePolicy": {
                "LifecyclePolicyText": '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan",'
                '"countNumber":5},"action":{"type":"expire"}}]}'
            },
            "EmptyOnDelete": True,
            "Tags": tags(team="ml"),
        },
        update={"RepositoryName": "team/contract", "ImageTagMutability": "MUTABLE", "Tags": tags(team="data")},
        replace={"RepositoryName": "team/contract-2"},
    ),
    Sample(
        type="aws.dynamodb_table",
        create=dynamo("contract"),
        update={
            **dynamo("contract"),
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": "N"},
            ],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-time",
                    "KeySchema": [{"AttributeName": "at", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "Tags": tags(team="ml"),
        },
        replace=dynamo("contract-2"),
    ),
    Sample(
        type="aws.cloudwatch_alarm",
        create=alarm("contract", 5.0),
        update={**alarm("contract", 7.5), "Tags": tags(team="ml")},
        replace=alarm("contract-2", 5.0),
    ),
    Sample(
        type="aws.eventbridge_rule",
        create={"Name": "contract", "ScheduleExpression": "rate(5 minutes)", "State": "ENABLED", "Tags": tags(team="ml")},
        update={
            "Name": "contract",
            "ScheduleExpression": "rate(10 minutes)",
            "State": "DISABLED",
            "Targets": [{"Id": "one", "Arn": "arn:aws:sqs:us-east-1:123456789012:queue"}],
        },
        replace={"Name": "contract-2", "ScheduleExpression": "rate(5 minutes)"},
    ),
)  # fmt: skip
RELATIONS = frozenset({"aws.iam_role_policy_attachment"})
"""Relations between two objects have no place for a mark: whoever made it, it is found by what it relates (decision 0041)."""


class TestAws(ProviderContract):
    provider = AwsProvider()
    samples = SAMPLES

    @pytest.fixture
    def given(self) -> Iterator[Mapping[str, Any]]:
        from live.aws.server import moto_aws, shared_clients

        with moto_aws() as recorded, shared_clients():
            yield {"server": recorded}
            assert recorded.invalid == []

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"region": "us-east-1", "endpoint_url": given["server"].url}

    @can(Finds)
    def test_create_is_found_by_its_token_and_only_by_it(self, world: World) -> None:
        if world.sample.type not in RELATIONS:
            super().test_create_is_found_by_its_token_and_only_by_it(world)
            return
        kind, desired = world.type(), world.desired(world.attributes(world.sample.create))
        assert isinstance(kind, Finds)
        assert world.call(kind.find(world.client, desired, "0" * 32)) is None, "found before it was made"
        state = world.create(desired.attributes)
        found = world.call(kind.find(world.client, desired, "0" * 32))
        assert found is not None and found.id == state.id
        assert found.attributes == state.attributes
