"""What AWS refuses, and what it would refuse: said at its line of the spec, with AWS's words, and before a request where that can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live

HEAD = """\
version: 1
project: errors
environments: {{dev: {{target: aws}}}}
providers: {{aws: {{region: us-east-1, endpoint_url: "{url}"{more}}}}}
resources:
"""


@pytest.fixture
def applied(aws_server: Any, spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any]) -> Callable[..., Any]:
    def run(resources: str, command: str = "apply --yes", more: str = "", **environment: str) -> Any:
        folder = spec_folder(HEAD.format(url=aws_server.url, more=more) + resources)
        return run_mlinfra(command.split(), folder, environment=environment or None)

    return run


def test_what_can_never_work_is_a_plan_error_without_a_request(applied: Callable[..., Any], aws_server: Any) -> None:
    ran = applied(
        """\
  config:
    kind: aws.sagemaker_endpoint_config
    EndpointConfigName: c
    ProductionVariants:
      - {VariantName: main, ModelName: m, InstanceType: ml.g7.hugest, InitialInstanceCount: 1}
  bucket:
    kind: aws.s3_bucket
    BucketName: Not_A_Bucket
    VersioningConfiguration: {Status: "on"}
  role:
    kind: aws.iam_role
    AssumeRolePolicy: {}
    AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
  worker:
    kind: aws.iam_role
    AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}
    MaxSessionDuration: 60
  queue:
    kind: aws.resource
    type: AWS::SQS::Queue
    QueueNme: jobs
    VisibilityTimeout: soon
  other:
    kind: aws.resource
    type: AWS::SQS::Quue
""",
        "plan --no-refresh",
    )
    assert ran.code == 1
    for told in (
        "mlinfra.yaml:10:", "ml.g7.hugest", "mlinfra.yaml:13:", "mlinfra.yaml:14:", "did you mean 'AssumeRolePolicyDocument'",
        "must be at least 3600", "mlinfra.yaml:22:", "did you mean 'QueueName'", "a whole number", "AWS::SQS::Queue",
    ):  # fmt: skip
        assert told in ran.err, (told, ran.err)
    assert aws_server.calls == []


def test_a_bucket_that_somebody_else_owns(applied: Callable[..., Any]) -> None:
    ran = applied("  data:\n    kind: aws.s3_bucket\n    BucketName: somebody-elses-data\n")
    assert ran.code == 1
    assert "BucketAlreadyExists" in ran.err and "s3:CreateBucket" in ran.err and "mlinfra.yaml:8:" in ran.err, ran.err
    assert "somebody else owns" in ran.err


def test_a_role_that_may_not_be_assumed(applied: Callable[..., Any], boto: Any) -> None:
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    arn = boto("iam").create_role(RoleName="wrong", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    ran = applied(
        f"""\
  model:
    kind: aws.sagemaker_model
    ModelName: m
    PrimaryContainer: {{Image: "1.dkr.ecr.us-east-1.amazonaws.com/x:1"}}
    ExecutionRoleArn: {arn}
"""
    )
    assert ran.code == 1
    assert "Could not assume role" in ran.err and "sagemaker:CreateModel" in ran.err and "mlinfra.yaml:10:" in ran.err, ran.err


def test_the_wrong_account_is_refused(applied: Callable[..., Any], aws_server: Any) -> None:
    ran = applied("  data:\n    kind: aws.s3_bucket\n    BucketName: data\n", more=", allowed_account_ids: ['999999999999']")
    assert ran.code == 1 and "123456789012" in ran.err and "999999999999" in ran.err, ran.err
    assert {c.operation for c in aws_server.calls} <= {"GetCallerIdentity"}


def test_no_credentials_is_one_clear_error(applied: Callable[..., Any], tmp_path: Path) -> None:
    nobody = {
        "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    ran = applied("  data:\n    kind: aws.s3_bucket\n    BucketName: data\n", **nobody)
    assert ran.code == 1
    assert ran.err.count("no AWS credentials were found") == 1, ran.err
    assert "Traceback" not in ran.text


def test_throttling_slows_down_and_is_got_over(applied: Callable[..., Any], aws_server: Any) -> None:
    from moto.core.exceptions import ServiceException

    slow = ServiceException("ThrottlingException", "Rate exceeded")
    aws_server.refuse["dynamodb:CreateTable"] = [slow, slow]
    ran = applied(
        """\
  table:
    kind: aws.dynamodb_table
    TableName: t
    AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
    KeySchema: [{AttributeName: id, KeyType: HASH}]
"""
    )
    assert ran.code == 0, ran.text
    assert aws_server.counted()["dynamodb:CreateTable"] == 3
