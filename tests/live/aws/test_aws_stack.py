"""Thirteen objects by native types and ``for_each``: how many requests they cost, what drifts, what an import and a destroy do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live.aws.stack import stack

pytestmark = pytest.mark.live
COUNT = 3


def standing(boto: Any) -> dict[str, int]:
    """How many objects of each kind AWS holds."""
    sagemaker = boto("sagemaker")
    return {
        "buckets": len(boto("s3").list_buckets()["Buckets"]),
        "roles": len(boto("iam").list_roles()["Roles"]),
        "policies": len(boto("iam").list_policies(Scope="Local")["Policies"]),
        "repositories": len(boto("ecr").describe_repositories()["repositories"]),
        "models": len(sagemaker.list_models()["Models"]),
        "configs": len(sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        "endpoints": len(sagemaker.list_endpoints()["Endpoints"]),
        "notebooks": len(sagemaker.list_notebook_instances()["NotebookInstances"]),
        "tables": len(boto("dynamodb").list_tables()["TableNames"]),
        "alarms": len(boto("cloudwatch").describe_alarms()["MetricAlarms"]),
        "rules": len(boto("events").list_rules()["Rules"]),
    }


def test_thirteen_objects_cost_sixteen_requests_and_six_to_refresh(
    aws_server: Any, boto: Any, spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any]
) -> None:
    folder = spec_folder(stack(aws_server.url, COUNT))
    ran = run_mlinfra(["apply", "--yes"], folder)
    assert ran.code == 0, ran.text
    assert f"Resources: {12 * COUNT} added, 0 changed, 0 destroyed" in ran.out
    looks = [c for c in aws_server.calls if c.operation.startswith(("List", "Describe")) and c.service == "sagemaker"]
    assert len(looks) <= 2 * COUNT, "more looks than one an endpoint and a notebook"
    assert len(aws_server.calls) - len(looks) <= 15 * COUNT, aws_server.counted()
    assert set(standing(boto).values()) == {COUNT}

    aws_server.forget()
    ran = run_mlinfra(["plan", "--detailed-exitcode"], folder)
    assert ran.code == 0, ran.text
    assert len(aws_server.calls) <= 6 * COUNT, dict(aws_server.counted())

    (folder / "mlinfra.yaml").write_text(stack(aws_server.url, COUNT, threshold=7))
    aws_server.forget()
    ran = run_mlinfra(["apply", "--yes"], folder)
    assert f"Resources: 0 added, {COUNT} changed, 0 destroyed" in ran.out, ran.text
    assert aws_server.counted()["cloudwatch:PutMetricAlarm"] == COUNT
    assert {a["Threshold"] for a in boto("cloudwatch").describe_alarms()["MetricAlarms"]} == {7.0}

    boto("s3").put_bucket_versioning(Bucket="stack-s00", VersioningConfiguration={"Status": "Suspended"})
    boto("dynamodb").tag_resource(
        ResourceArn="arn:aws:dynamodb:us-east-1:123456789012:table/features-s01", Tags=[{"Key": "owner", "Value": "somebody"}]
    )
    boto("sagemaker").create_endpoint_config(
        EndpointConfigName="by-hand",
        ProductionVariants=[
            {"VariantName": "main", "ModelName": "model-s02", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
        ],
    )
    boto("sagemaker").update_endpoint(EndpointName="api-s02", EndpointConfigName="by-hand")
    boto("iam").detach_role_policy(RoleName="worker-s00", PolicyArn="arn:aws:iam::123456789012:policy/read-s00")
    ran = run_mlinfra(["plan", "--detailed-exitcode"], folder)
    assert ran.code == 2, ran.text
    for told in ('raw["s00"]', 'features["s01"]', 'api["s02"]', 'may_read["s00"]', "Suspended", "somebody", "by-hand"):
        assert told in ran.out, (told, ran.out)
    ran = run_mlinfra(["apply", "--yes"], folder)
    assert "Resources: 1 added, 3 changed, 0 destroyed" in ran.out, ran.text
    assert boto("s3").get_bucket_versioning(Bucket="stack-s00")["Status"] == "Enabled"
    assert boto("sagemaker").describe_endpoint(EndpointName="api-s02")["EndpointConfigName"] == "config-s02"
    boto("sagemaker").delete_endpoint_config(EndpointConfigName="by-hand")

    ran = run_mlinfra(["destroy", "--yes"], folder)
    assert ran.code == 0, ran.text
    assert set(standing(boto).values()) == {0}


def test_a_bucket_that_exists_is_imported_and_then_ours(
    aws_server: Any, boto: Any, spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any]
) -> None:
    boto("s3").create_bucket(Bucket="grown-by-hand")
    boto("s3").put_bucket_tagging(Bucket="grown-by-hand", Tagging={"TagSet": [{"Key": "team", "Value": "ml"}]})
    spec = f"""\
version: 1
project: adopt
environments: {{dev: {{target: aws}}}}
providers: {{aws: {{region: us-east-1, endpoint_url: "{aws_server.url}"}}}}
resources:
  data:
    kind: aws.s3_bucket
    BucketName: grown-by-hand
    Tags: [{{Key: team, Value: ml}}]
"""
    folder = spec_folder(spec)
    ran = run_mlinfra(["apply", "--yes"], folder)
    assert ran.code == 1
    assert "mlinfra import data grown-by-hand" in ran.text
    assert boto("s3").get_bucket_tagging(Bucket="grown-by-hand")["TagSet"] == [{"Key": "team", "Value": "ml"}], "it was touched"
    ran = run_mlinfra(["import", "data", "grown-by-hand"], folder)
    assert ran.code == 0, ran.text
    ran = run_mlinfra(["plan", "--detailed-exitcode"], folder)
    assert ran.code == 0, ran.text
