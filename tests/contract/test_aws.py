"""The AWS provider against the contract that every provider must meet, on moto with its gaps filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from fakes.zilliz import PROJECT, FakeZilliz, zilliz
from fakes.zilliz import samples as zilliz_samples

from mlinfra.model.values import Map, Secret
from mlinfra.provider.contract import FileDigest, Finds
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
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
                "ThreadsPerCore": 1,
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


def template(name: str, instance: str) -> dict[str, Any]:
    return {
        "LaunchTemplateName": name,
        "LaunchTemplateData": {"ImageId": "ami-12345678", "InstanceType": instance, "UserData": "IyEvYmluL3No"},
    }


def instance(w: World) -> dict[str, Any]:
    import base64

    script = base64.b64encode(b"#!/bin/sh\necho ready\n").decode()
    return {"ImageId": "ami-12c6146b", "InstanceType": "m5.large", "UserData": script}


def group(w: World, name: str, least: str) -> dict[str, Any]:
    return {
        "AutoScalingGroupName": name,
        "MinSize": least,
        "MaxSize": "4",
        "AvailabilityZones": ["us-east-1a"],
        "LaunchTemplate": {"LaunchTemplateId": w["template"].id, "Version": "$Latest"},
        "Tags": [{"Key": "team", "Value": "ml", "PropagateAtLaunch": False}],
    }


def schedule(name: str, when: str) -> dict[str, Any]:
    return {
        "Name": name,
        "ScheduleExpression": when,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/features",
            "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
            "SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "day", "Value": "today"}]},
        },
    }


def machine(name: str, state: str) -> dict[str, Any]:
    definition = {"StartAt": state, "States": {state: {"Type": "Pass", "End": True}}}
    return {"StateMachineName": name, "RoleArn": "arn:aws:iam::123456789012:role/states", "Definition": definition}


SCALED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/api/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def target(most: int) -> dict[str, Any]:
    return {**SCALED, "MinCapacity": 1, "MaxCapacity": most}


def policy(name: str, value: float) -> dict[str, Any]:
    return {
        **SCALED,
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": value,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    }


SERVED = {
    "role": ROLE,
    "model": model(),
    "a": config("a"),
    "api": Given(type="aws.sagemaker_endpoint", attributes={"EndpointName": "api", "EndpointConfigName": "a"}),
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
        update=lambda w: cluster(w, "contract", 2),
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
    Sample(
        type="aws.s3_object",
        needs={"bucket": Given(type="aws.s3_bucket", attributes={"BucketName": "objects", "ForceDestroy": True})},
        create={"Bucket": "objects", "Key": "a/b.json", "Body": "{}", "ContentType": "application/json", "Metadata": {"owner": "ml"}},
        update={"Bucket": "objects", "Key": "a/b.json", "Body": "[1]", "ContentType": "application/json", "Metadata": {"owner": "data"}},
        replace={"Bucket": "objects", "Key": "a/c.json", "Body": "{}"},
        name="text",
    ),
    Sample(
        type="aws.s3_object",
        needs={"bucket": Given(type="aws.s3_bucket", attributes={"BucketName": "objects", "ForceDestroy": True})},
        files={"data/raw.csv": "a,b\n1,2\n"},
        create=lambda w: {"Bucket": "objects", "Key": "raw.csv", "Source": "data/raw.csv", "SourceDigest": w.digest("data/raw.csv").digest},
        name="file",
    ),
    Sample(
        type="aws.security_group",
        create={
            "GroupName": "contract",
            "GroupDescription": "milvus",
            "SecurityGroupIngress": [
                {"IpProtocol": "tcp", "FromPort": 19530, "ToPort": 19530, "CidrIp": "10.0.0.0/8", "Description": "clients"},
                {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8"},
            ],
            "Tags": tags(team="ml"),
        },
        update={
            "GroupName": "contract",
            "GroupDescription": "milvus",
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 9091, "ToPort": 9091, "CidrIp": "10.0.0.0/8"}],
        },
        replace={"GroupName": "contract-2", "GroupDescription": "milvus"},
    ),
    Sample(
        type="aws.launch_template",
        create=template("contract", "m5.large"),
        update=template("contract", "m5.xlarge"),
        replace=template("contract-2", "m5.large"),
    ),
    Sample(
        type="aws.instance",
        create=lambda w: {**instance(w), "Tags": tags(Name="head")},
        update=lambda w: {**instance(w), "InstanceType": "m5.xlarge", "Tags": tags(Name="head", team="ml")},
        replace=lambda w: {**instance(w), "KeyName": "other"},
    ),
    Sample(
        type="aws.ebs_volume",
        create={"AvailabilityZone": "us-east-1a", "Size": 10, "VolumeType": "gp3", "Encrypted": True, "Tags": tags(Name="data")},
        update={"AvailabilityZone": "us-east-1a", "Size": 10, "VolumeType": "gp2", "Encrypted": True},
        replace={"AvailabilityZone": "us-east-1b", "Size": 10, "VolumeType": "gp3", "Encrypted": True},
    ),
    Sample(
        type="aws.volume_attachment",
        needs={
            "instance": Given(type="aws.instance", attributes=lambda w: {**instance(w), "AvailabilityZone": "us-east-1a"}),
            "one": Given(type="aws.ebs_volume", attributes={"AvailabilityZone": "us-east-1a", "Size": 10}),
            "two": Given(type="aws.ebs_volume", attributes={"AvailabilityZone": "us-east-1a", "Size": 10}),
        },
        create=lambda w: {"VolumeId": w["one"].id, "InstanceId": w["instance"].id, "Device": "/dev/sdf"},
        replace=lambda w: {"VolumeId": w["two"].id, "InstanceId": w["instance"].id, "Device": "/dev/sdf"},
    ),
    Sample(
        type="aws.autoscaling_group",
        needs={"template": Given(type="aws.launch_template", attributes=template("t", "m5.large"))},
        create=lambda w: group(w, "contract", "0"),
        update=lambda w: {**group(w, "contract", "1"), "Tags": [{"Key": "team", "Value": "data", "PropagateAtLaunch": True}]},
        replace=lambda w: group(w, "contract-2", "0"),
    ),
    Sample(
        type="aws.scheduler_schedule",
        create=schedule("contract", "cron(0 3 * * ? *)"),
        update={**schedule("contract", "rate(1 hour)"), "Description": "nightly", "State": "DISABLED"},
        replace=schedule("contract-2", "cron(0 3 * * ? *)"),
    ),
    Sample(
        type="aws.step_functions_state_machine",
        create=machine("contract", "one"),
        update={**machine("contract", "two"), "Tags": tags(team="ml")},
        replace=machine("contract-2", "one"),
    ),
    Sample(
        type="aws.appautoscaling_target",
        needs=SERVED,
        create=target(4),
        update=target(8),
        alone=False,
    ),
    Sample(
        type="aws.appautoscaling_policy",
        needs={**SERVED, "target": Given(type="aws.appautoscaling_target", attributes=target(4))},
        create=policy("contract", 50.0),
        update=policy("contract", 70.0),
        replace=policy("contract-2", 50.0),
    ),
    Sample(
        type="aws.secretsmanager_secret",
        create={"Name": "contract", "SecretString": Secret("s3cr3t-one"), "RecoveryWindowInDays": 0, "Tags": tags(team="ml")},
        update={"Name": "contract", "SecretString": Secret("s3cr3t-two"), "RecoveryWindowInDays": 0, "Description": "token"},
        replace={"Name": "contract-2", "SecretString": Secret("s3cr3t-one"), "RecoveryWindowInDays": 0},
    ),
    Sample(
        type="aws.resource",
        create={"type": "AWS::SQS::Queue", "QueueName": "contract", "VisibilityTimeout": 60, "Tags": tags(team="ml")},
        update={"type": "AWS::SQS::Queue", "QueueName": "contract", "VisibilityTimeout": 90, "DelaySeconds": 5, "Tags": tags(team="data")},
        replace={"type": "AWS::SQS::Queue", "QueueName": "contract-2", "VisibilityTimeout": 60},
        name="with_tags",
    ),
    Sample(
        type="aws.resource",
        create={"type": "AWS::ECR::PullThroughCacheRule", "EcrRepositoryPrefix": "quay", "UpstreamRegistryUrl": "quay.io"},
        replace={"type": "AWS::ECR::PullThroughCacheRule", "EcrRepositoryPrefix": "other", "UpstreamRegistryUrl": "quay.io"},
        name="without_tags",
    ),
)  # fmt: skip
RELATIONS = frozenset(
    {"aws.iam_role_policy_attachment", "aws.appautoscaling_target", "aws.appautoscaling_policy", "aws.volume_attachment"}
)
"""Relations between two objects have no place for a mark: whoever made it, it is found by what it relates (decision 0041)."""


BUCKET = Given(type="aws.s3_bucket", attributes={"BucketName": "contract-work", "ForceDestroy": True})


def dataset(w: World, name: str, file: str) -> dict[str, Any]:
    found = w.digest(file)
    return {"bucket": "contract-work", "name": name, "source": file, "version": found.digest, "size": found.size, "file": file}


def artifact(w: World, folder: str) -> dict[str, Any]:
    digest = w.digest(folder).digest
    return {"bucket": "contract-work", "model": "m", "version": "v1", "path": folder, "content": digest}


def steps(w: World, command: str) -> dict[str, Any]:
    code = {"path": "code", "digest": w.digest("code", "code").digest}
    return {"bucket": "contract-work", "code": code, "steps": {"one": {"command": command, "outputs": ("out",)}}}


def job(w: World, name: str, command: str) -> dict[str, Any]:
    code = {"path": "code", "digest": w.digest("code", "code").digest}
    machine = {"role": "worker", "image": IMAGE, "instance_type": "ml.m5.large"}
    return {"name": name, "bucket": "contract-work", **machine, "code": code, "run": command, "run_on_apply": False}


CODE = {"code/main.py": "print(1)\n"}
OURS = (
    Sample(
        type="aws.dataset",
        needs={"bucket": BUCKET},
        files={"a.csv": "a\n1\n", "b.csv": "a\n2\n"},
        create=lambda w: dataset(w, "rows", "a.csv"),
        update=lambda w: dataset(w, "rows", "b.csv"),
        replace=lambda w: dataset(w, "others", "a.csv"),
    ),
    Sample(
        type="aws.model_artifact",
        needs={"bucket": BUCKET},
        files={"one/MLmodel": "flavors: {}\n", "two/weights.bin": "w"},
        create=lambda w: artifact(w, "one"),
        replace=lambda w: artifact(w, "two"),
        alone=False,
    ),
    Sample(
        type="aws.run_code",
        needs={"bucket": BUCKET},
        files=CODE,
        create=lambda w: steps(w, "python main.py"),
        update=lambda w: steps(w, "python main.py --again"),
    ),
    Sample(
        type="aws.pipeline_run",
        needs={"bucket": BUCKET},
        files=CODE,
        create=lambda w: {**steps(w, "python main.py"), "pipeline": "p", "run_on_apply": False},
        update=lambda w: {**steps(w, "python main.py --again"), "pipeline": "p", "run_on_apply": False},
        replace=lambda w: {**steps(w, "python main.py"), "pipeline": "q", "run_on_apply": False},
    ),
    Sample(
        type="aws.training_run",
        needs={"bucket": BUCKET},
        files=CODE,
        create=lambda w: job(w, "j", "python main.py"),
        update=lambda w: job(w, "j", "python main.py --again"),
        replace=lambda w: job(w, "k", "python main.py"),
    ),
)


def image(w: World, folder: str) -> dict[str, Any]:
    build = {"context": folder, "digest": w.digest(folder, "code").digest, "dockerfile": "Dockerfile"}
    return {"repository": w["images"].attributes["RepositoryUri"], "tag": f"of-{folder}", "build": build}


IMAGES = Sample(
    type="aws.image",
    needs={"images": Given(type="aws.ecr_repository", attributes={"RepositoryName": "serve", "EmptyOnDelete": True})},
    files={
        f"{name}/{file}": text
        for name in ("one", "two")
        for file, text in (("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", name))
    },
    create=lambda w: image(w, "one"),
    replace=lambda w: image(w, "two"),
)
DIGEST = FileDigest("sha256:" + "0" * 64, 12, 1, single=True)
REGION = {"region": "eu-central-1"}
CLUSTER = {
    "kind": "training_cluster", "id": "jobs", "name": "bucket", "engine": "managed", "address": "sagemaker:ml.m5.large", "nodes": 2,
    "accelerators": {},
}  # fmt: skip
VERSION = {"uri": "s3://models/m/v1/abc", "digest": "sha256:1", "number": "arn"}
PORTABLES = (
    Portable(kind="bucket", properties={"versioning": True}),
    Portable(
        kind="dataset",
        properties={"bucket": {"kind": "bucket", "name": "raw", "id": "raw", "uri": "s3://raw"}, "source": "rows.csv"},
        digests={("rows.csv", "data"): DIGEST},
    ),
    Portable(
        kind="data_pipeline",
        properties={"steps": {"clean": {"run": "python clean.py", "outputs": ("clean",)}}, "schedule": "0 3 * * 1"},
        digests={(".", "code"): DIGEST},
        settings=REGION,
    ),
    Portable(kind="training_cluster", properties={"resources": {"accelerators": "T4"}}, settings=REGION),
    Portable(kind="training_cluster", properties={"nodes": {"min": 2, "max": 2}}, settings=REGION, name="hyperpod"),
    Portable(
        kind="training_cluster",
        properties={"engine": "ray", "resources": {"accelerators": "A100:8", "spot": True}, "nodes": {"min": 0, "max": 4}},
        settings=REGION,
        name="ray",
    ),
    Portable(
        kind="training_job", properties={"run": "python train.py", "cluster": CLUSTER}, digests={(".", "code"): DIGEST}, settings=REGION
    ),
    Portable(kind="training_job", properties={"run": "python train.py"}, digests={(".", "code"): DIGEST}, settings=REGION, name="alone"),
    Portable(
        kind="training_job",
        properties={"run": "python train.py", "cluster": {**CLUSTER, "engine": "ray", "dashboard": "http://10.0.0.1:8265"}},
        digests={(".", "code"): DIGEST},
        settings=REGION,
        name="on_ray",
    ),
    Portable(kind="model_registry"),
    Portable(
        kind="model",
        properties={
            "registry": {"kind": "model_registry", "name": "registry", "id": "registry"},
            "versions": {"v1": {"artifact": "s3://jobs/content/" + "1" * 64}, "v2": {"image": IMAGE}},
            "aliases": {"champion": "v1"},
        },
        settings=REGION,
    ),
    Portable(kind="endpoint", properties={"variants": {"champion": {"model": VERSION}}}, settings=REGION),
    Portable(
        kind="endpoint",
        properties={
            "variants": {"champion": {"model": VERSION}, "next": {"image": IMAGE, "shadow": True}},
            "replicas": {"min": 1, "max": 4, "target": {"concurrency": 8}},
            "resources": {"accelerators": "A10G"},
        },
        settings=REGION,
        name="scaled_with_a_shadow",
    ),
    Portable(
        kind="vector_database",
        properties={"engine": "zilliz", "zilliz": {"plan": "enterprise", "cu_size": 8, "replicas": 2}},
        settings=REGION,
        name="zilliz",
    ),
    Portable(kind="image", properties={"build": "."}, digests={(".", "code"): DIGEST}),
    Portable(kind="image", properties={"archive": "image.tar", "name": "serve"}, digests={("image.tar", "data"): DIGEST}, name="loaded"),
    Portable(kind="image", properties={"source": "python:3.11"}, name="copied"),
    Portable(kind="vector_database", properties={"version": "2.6", "resources": {"cpus": 4, "memory": "16GB", "disk": "200GB"}}, settings=REGION),
)  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The address of a registry beside moto's ECR, which keeps no images; None where there is nothing to push from, or to."""
    from live.aws.images import registry

    with registry(tmp_path_factory.mktemp("images")) as host:
        yield host


class TestAws(ProviderContract):
    provider = AwsProvider()
    samples = (*SAMPLES, *OURS, IMAGES, *zilliz_samples("aws.zilliz_cluster"))
    portables = PORTABLES
    unsampled = Map({"aws.ray_run": "every job of a real Ray head takes seconds: tests/live/aws/test_ray_job_aws.py"})

    @pytest.fixture
    def given(self, sample: Sample, images: str | None) -> Iterator[Mapping[str, Any]]:
        from live.aws.server import moto_aws, shared_clients

        if sample is IMAGES and images is None:
            pytest.skip("no Docker engine, or no docker-registry, to push images to")
        fake = zilliz(looks=1) if sample.type == "aws.zilliz_cluster" else nullcontext(FakeZilliz())
        with moto_aws() as recorded, shared_clients(), fake as clusters:
            yield {"server": recorded, "zilliz": clusters, "images": images}
            assert recorded.invalid == [] and clusters.invalid == []

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        own = given["zilliz"].settings(project=PROJECT) if given["zilliz"].url else {}
        where = {"endpoint_url": given["server"].url, "registry": given["images"]}
        return {"region": "us-east-1", "zilliz": own, **where}

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
