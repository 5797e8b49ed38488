"""One stack of thirteen AWS objects, as an ML team has them: a bucket with versioning, encryption and public access shut, an artifact in it, a
role with a policy of its own and an attached one, a model, its endpoint, an alarm and an image repository. Written three times: for us,
for Terraform, and as the bare calls that making them takes."""

from __future__ import annotations

import json
from typing import Any

TYPES = frozenset(
    f"aws.{name}"
    for name in (
        "s3_bucket", "s3_object", "iam_role", "sagemaker_model", "sagemaker_endpoint_config", "sagemaker_endpoint",
        "cloudwatch_alarm", "ecr_repository",
    )
)  # fmt: skip
"""Ours: a bucket's versioning and a role's policies are properties, not objects of their own."""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
ATTACHED = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/server:1"
INSTANCE = "ml.m5.large"


def spec(count: int, url: str, artifact: str = "weights") -> str:
    """Ours. ``artifact`` is the text of the first stack's object."""
    text = (
        f"version: 1\nproject: bench\nproviders: {{aws: {{region: us-east-1, endpoint_url: '{url}'}}}}\n"
        "environments: {default: {target: aws}}\nresources:\n"
    )
    return text + "".join(_resources(n, artifact if n == 0 else "weights") for n in range(count))


def _resources(n: int, artifact: str) -> str:
    return f"""
  bucket{n}:
    kind: aws.s3_bucket
    BucketName: bench-{n}
    ForceDestroy: true
    VersioningConfiguration: {{Status: Enabled}}
    BucketEncryption: {{ServerSideEncryptionConfiguration: [{{ServerSideEncryptionByDefault: {{SSEAlgorithm: AES256}}}}]}}
    PublicAccessBlockConfiguration:
      {{BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}}
  artifact{n}: {{kind: aws.s3_object, Bucket: "${{bucket{n}.BucketName}}", Key: model.tar.gz, Body: {artifact}}}
  role{n}:
    kind: aws.iam_role
    RoleName: bench-{n}
    AssumeRolePolicyDocument: {json.dumps(TRUST)}
    Policies: [{{PolicyName: read, PolicyDocument: {json.dumps(POLICY)}}}]
    ManagedPolicyArns: ["{ATTACHED}"]
  model{n}:
    kind: aws.sagemaker_model
    ModelName: bench-{n}
    ExecutionRoleArn: ${{role{n}.Arn}}
    PrimaryContainer: {{Image: "{IMAGE}", ModelDataUrl: "${{artifact{n}.Uri}}"}}
  config{n}:
    kind: aws.sagemaker_endpoint_config
    EndpointConfigName: bench-{n}
    ProductionVariants:
      - VariantName: main
        ModelName: ${{model{n}.ModelName}}
        InitialInstanceCount: 1
        InstanceType: {INSTANCE}
        InitialVariantWeight: 1.0
  endpoint{n}: {{kind: aws.sagemaker_endpoint, EndpointName: bench-{n}, EndpointConfigName: "${{config{n}.EndpointConfigName}}"}}
  alarm{n}:
    kind: aws.cloudwatch_alarm
    AlarmName: bench-{n}
    Namespace: AWS/SageMaker
    MetricName: ModelLatency
    Statistic: Average
    ComparisonOperator: GreaterThanThreshold
    Threshold: 100.0
    Period: 60
    EvaluationPeriods: 1
  images{n}: {{kind: aws.ecr_repository, RepositoryName: bench-{n}}}
"""


def terraform(count: int, url: str, artifact: str = "weights") -> str:
    """The same for Terraform."""
    services = "\n".join(f'    {service} = "{url}"' for service in ("s3", "iam", "sagemaker", "cloudwatch", "ecr", "sts"))
    head = f"""
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}
provider "aws" {{
  region                      = "us-east-1"
  access_key                  = "testing"
  secret_key                  = "testing"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {{
{services}
  }}
}}
"""
    return head + "".join(_terraform(n, artifact if n == 0 else "weights") for n in range(count))


def _terraform(n: int, artifact: str) -> str:
    return f"""
resource "aws_s3_bucket" "b{n}" {{
  bucket        = "bench-{n}"
  force_destroy = true
}}
resource "aws_s3_bucket_versioning" "v{n}" {{
  bucket = aws_s3_bucket.b{n}.id
  versioning_configuration {{
    status = "Enabled"
  }}
}}
resource "aws_s3_bucket_server_side_encryption_configuration" "e{n}" {{
  bucket = aws_s3_bucket.b{n}.id
  rule {{
    apply_server_side_encryption_by_default {{
      sse_algorithm = "AES256"
    }}
  }}
}}
resource "aws_s3_bucket_public_access_block" "p{n}" {{
  bucket                  = aws_s3_bucket.b{n}.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}}
resource "aws_s3_object" "a{n}" {{
  bucket  = aws_s3_bucket.b{n}.id
  key     = "model.tar.gz"
  content = "{artifact}"
}}
resource "aws_iam_role" "r{n}" {{
  name               = "bench-{n}"
  assume_role_policy = {json.dumps(json.dumps(TRUST))}
}}
resource "aws_iam_role_policy" "i{n}" {{
  name   = "read"
  role   = aws_iam_role.r{n}.id
  policy = {json.dumps(json.dumps(POLICY))}
}}
resource "aws_iam_role_policy_attachment" "t{n}" {{
  role       = aws_iam_role.r{n}.name
  policy_arn = "{ATTACHED}"
}}
resource "aws_sagemaker_model" "m{n}" {{
  name               = "bench-{n}"
  execution_role_arn = aws_iam_role.r{n}.arn
  primary_container {{
    image          = "{IMAGE}"
    model_data_url = "s3://${{aws_s3_bucket.b{n}.id}}/${{aws_s3_object.a{n}.key}}"
  }}
}}
resource "aws_sagemaker_endpoint_configuration" "c{n}" {{
  name = "bench-{n}"
  production_variants {{
    variant_name           = "main"
    model_name             = aws_sagemaker_model.m{n}.name
    initial_instance_count = 1
    instance_type          = "{INSTANCE}"
    initial_variant_weight = 1
  }}
}}
resource "aws_sagemaker_endpoint" "s{n}" {{
  name                 = "bench-{n}"
  endpoint_config_name = aws_sagemaker_endpoint_configuration.c{n}.name
}}
resource "aws_cloudwatch_metric_alarm" "g{n}" {{
  alarm_name          = "bench-{n}"
  namespace           = "AWS/SageMaker"
  metric_name         = "ModelLatency"
  statistic           = "Average"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 100
  period              = 60
  evaluation_periods  = 1
}}
resource "aws_ecr_repository" "o{n}" {{
  name = "bench-{n}"
}}
"""


def calls(n: int) -> list[tuple[str, str, dict[str, Any]]]:
    """The bare calls that make stack ``n``, in order: client, method, parameters."""
    name, role = f"bench-{n}", f"arn:aws:iam::123456789012:role/bench-{n}"
    shut = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    encrypted = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    variant = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": INSTANCE}
    alarm = {
        "AlarmName": name, "Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Statistic": "Average",
        "ComparisonOperator": "GreaterThanThreshold", "Threshold": 100.0, "Period": 60, "EvaluationPeriods": 1,
    }  # fmt: skip
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{name}/model.tar.gz"}
    return [
        ("s3", "create_bucket", {"Bucket": name}),
        ("s3", "put_bucket_versioning", {"Bucket": name, "VersioningConfiguration": {"Status": "Enabled"}}),
        ("s3", "put_bucket_encryption", {"Bucket": name, "ServerSideEncryptionConfiguration": encrypted}),
        ("s3", "put_public_access_block", {"Bucket": name, "PublicAccessBlockConfiguration": shut}),
        ("s3", "put_object", {"Bucket": name, "Key": "model.tar.gz", "Body": b"weights"}),
        ("iam", "create_role", {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(TRUST)}),
        ("iam", "put_role_policy", {"RoleName": name, "PolicyName": "read", "PolicyDocument": json.dumps(POLICY)}),
        ("iam", "attach_role_policy", {"RoleName": name, "PolicyArn": ATTACHED}),
        ("sagemaker", "create_model", {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container}),
        ("sagemaker", "create_endpoint_config", {"EndpointConfigName": name, "ProductionVariants": [variant]}),
        ("sagemaker", "create_endpoint", {"EndpointName": name, "EndpointConfigName": name}),
        ("cloudwatch", "put_metric_alarm", alarm),
        ("ecr", "create_repository", {"repositoryName": name}),
    ]
