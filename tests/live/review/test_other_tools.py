"""Tools that teams already have read our plan: checkov and terraform-compliance as they are, conftest's and OPA's input by its
documented shape. What Atlantis and tfcmt read of the text is tested in tests/unit/cli/test_review_bots.py."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

pytestmark = pytest.mark.live
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlinfra"
SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/plan.schema.json").read_text())
SPEC = """\
version: 1
project: shop
environments: {dev: {target: aws, providers: {aws: {region: us-east-1}}}}
resources:
  kept:
    kind: aws.s3_bucket
    properties:
      BucketName: shop-dev-kept
      VersioningConfiguration: {Status: Enabled}
      PublicAccessBlockConfiguration:
        {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}
      BucketEncryption: {ServerSideEncryptionConfiguration: [{ServerSideEncryptionByDefault: {SSEAlgorithm: "aws:kms"}}]}
      Tags: [{Key: team, Value: search}]
  open: {kind: aws.s3_bucket, properties: {BucketName: shop-dev-open}}
  role:
    kind: aws.iam_role
    properties:
      RoleName: shop-dev-role
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {AWS: "*"}, Action: "sts:AssumeRole"}]
  model:
    kind: aws.sagemaker_model
    properties:
      ModelName: shop-dev-model
      ExecutionRoleArn: ${role.Arn}
      EnableNetworkIsolation: true
      PrimaryContainer: {Image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1", ModelDataUrl: "s3://shop-dev-kept/m.tar.gz"}
"""
FEATURE = """\
Feature: Buckets are kept well
  Scenario: A bucket keeps its versions
    Given I have aws_s3_bucket defined
    When its name is %s
    Then it must have versioning
    And it must have enabled
    And its value must be true

  Scenario: It is tagged with its team
    Given I have aws_s3_bucket defined
    When its name is kept
    Then it must contain tags
    And it must contain team

  Scenario: Public access is blocked
    Given I have aws_s3_bucket_public_access_block defined
    Then it must have block_public_acls
    And its value must be true
"""


def tool(name: str) -> str:
    """The program, from a folder of its own: neither fits beside what mlinfra needs."""
    found = CACHE / name / "bin" / name
    if not found.exists():
        pytest.skip(f"{name} is not in {found.parent} (.ci/run puts it there)")
    return str(found)


@pytest.fixture
def plan(tmp_path: Path, run_mlinfra: Callable[..., Any]) -> Path:
    (tmp_path / "mlinfra.yaml").write_text(SPEC)
    ran = run_mlinfra(["plan", "--no-refresh", "--json-into", "plan.json"], tmp_path)
    if "provider.unknown" in ran.err:
        pytest.skip("the aws provider is not installed")
    assert ran.code == 0, ran.text
    return tmp_path / "plan.json"


def test_checkov_finds_by_its_own_rules_what_is_wrong_with_our_bucket(plan: Path) -> None:
    done = subprocess.run(
        [tool("checkov"), "-f", str(plan), "-o", "json", "--compact", "--skip-download"], capture_output=True, text=True, timeout=300,
        env={**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false"},
    )  # fmt: skip
    report = json.loads(done.stdout)
    (found,) = [r for r in (report if isinstance(report, list) else [report]) if r["check_type"] == "terraform_plan"]
    failed = {(c["check_id"], c["resource"]) for c in found["results"]["failed_checks"]}
    passed = {(c["check_id"], c["resource"]) for c in found["results"]["passed_checks"]}
    assert found["summary"]["resource_count"] == 5 and found["summary"]["parsing_errors"] == 0
    versioned, public, encrypted, trusting = "CKV_AWS_21", "CKV2_AWS_6", "CKV_AWS_145", "CKV_AWS_61"
    for rule in (versioned, public, encrypted):
        assert (rule, "aws_s3_bucket.open") in failed and (rule, "aws_s3_bucket.kept") in passed, rule
    assert (trusting, "aws_iam_role.role") in failed or ("CKV_AWS_60", "aws_iam_role.role") in failed


@pytest.mark.parametrize(("bucket", "code"), [("kept", 0), ("open", 1)])
def test_terraform_compliance_judges_by_a_feature_file(plan: Path, bucket: str, code: int) -> None:
    features = plan.parent / "features"
    features.mkdir()
    (features / "buckets.feature").write_text(FEATURE % bucket)
    done = subprocess.run(
        [tool("terraform-compliance"), "-p", str(plan), "-f", str(features)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Buckets are kept well" in done.stdout


def test_conftest_and_opa_find_what_their_documentation_reads(plan: Path) -> None:
    """Rego's usual way in: ``input.resource_changes[_]``, ``.type``, ``.change.actions[_]``, ``.change.after``, and
    ``input.planned_values.root_module.resources[_].values``, ``input.configuration.root_module.resources[_].expressions``."""
    data = json.loads(plan.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    assert plan.read_text().count("\n") == 1
    buckets = [c for c in data["resource_changes"] if c["type"] == "aws_s3_bucket" and "create" in c["change"]["actions"]]
    assert {b["name"]: b["change"]["after"].get("versioning") for b in buckets} == {
        "kept": [{"enabled": True, "mfa_delete": False}], "open": None,
    }  # fmt: skip
    values = {r["address"]: r["values"] for r in data["planned_values"]["root_module"]["resources"]}
    assert values["aws_s3_bucket.kept"]["tags"] == {"team": "search"}
    assert json.loads(values["aws_iam_role.role"]["assume_role_policy"])["Statement"][0]["Principal"] == {"AWS": "*"}
    written = {r["address"]: r["expressions"] for r in data["configuration"]["root_module"]["resources"]}
    assert written["aws_sagemaker_model.model"]["execution_role_arn"]["references"] == [
        "aws_iam_role.role.arn",
        "aws_iam_role.role",
    ]
