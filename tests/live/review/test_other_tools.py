"""Tools that teams already have read our plan of the AWS example: checkov and terraform-compliance as they are, and Rego, which is
what conftest and OPA run, by Microsoft's implementation of it. What Atlantis and tfcmt read of the text: tests/unit/cli/test_review_bots.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from live.review.conftest import EXAMPLE, PullRequest

from mlinfra.cli.app import run

pytestmark = pytest.mark.live
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlinfra"
SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/plan.schema.json").read_text())


def tool(name: str) -> str:
    """The program, from a folder of its own: neither fits beside what mlinfra needs."""
    found = CACHE / name / "bin" / name
    if not found.exists():
        pytest.skip(f"{name} is not in {found.parent} (.ci/run puts it there)")
    return str(found)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example's first plan, made offline."""
    pytest.importorskip("mlinfra_aws")
    folder = tmp_path_factory.mktemp("tools") / "tickets"
    shutil.copytree(EXAMPLE, folder)
    file = folder / "plan.json"
    assert run(["plan", "-C", str(folder), "--env", "prod", "--no-refresh", "--json-into", str(file)]) == 0
    yield file


def test_checkov_finds_by_its_own_rules_what_is_wrong_with_our_buckets(plan: Path) -> None:
    done = subprocess.run(
        [tool("checkov"), "-f", str(plan), "-o", "json", "--compact", "--skip-download"], capture_output=True, text=True, timeout=300,
        env={**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false"},
    )  # fmt: skip
    report = json.loads(done.stdout)
    (found,) = [r for r in (report if isinstance(report, list) else [report]) if r["check_type"] == "terraform_plan"]
    failed = {(c["check_id"], c["resource"]) for c in found["results"]["failed_checks"]}
    passed = {(c["check_id"], c["resource"]) for c in found["results"]["passed_checks"]}
    assert found["summary"]["parsing_errors"] == 0
    versioned, public, by_kms, trust = "CKV_AWS_21", "CKV2_AWS_6", "CKV_AWS_145", "CKV_AWS_60"
    for rule in (versioned, public):
        assert (rule, "aws_s3_bucket.exports") in failed and (rule, "aws_s3_bucket.raw") in passed, rule
    assert (by_kms, "aws_s3_bucket.raw") in failed, "what the portable kind makes is judged too"
    assert (trust, "aws_iam_role.api-role") in passed


@pytest.mark.parametrize(("bucket", "code"), [("raw", 0), ("exports", 1)])
def test_terraform_compliance_judges_by_a_feature_file(plan: Path, tmp_path: Path, bucket: str, code: int) -> None:
    feature = (EXAMPLE / "policy/buckets.feature").read_text()
    (tmp_path / "buckets.feature").write_text(feature.replace("its name is raw", f"its name is {bucket}"))
    done = subprocess.run(
        [tool("terraform-compliance"), "-p", str(plan), "-f", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Buckets are kept well" in done.stdout


def judged(plan: Path, rule: str) -> list[str]:
    """What a rule of package ``main`` says, as conftest asks for it."""
    regopy = pytest.importorskip("regopy", reason="Rego is not installed: pip install regopy")
    rego = regopy.Interpreter()
    rego.add_module("plan", (EXAMPLE / "policy/plan.rego").read_text())
    rego.set_input(json.loads(plan.read_text()))
    (found,) = json.loads(str(rego.query(f"data.main.{rule}")))["expressions"]
    return sorted(found)


def test_a_rego_policy_denies_what_it_finds_in_the_first_plan(plan: Path) -> None:
    assert judged(plan, "deny") == ["aws_s3_bucket.exports keeps no versions"]
    assert judged(plan, "warn") == ["api.config costs 335.8 USD a month"]


@pytest.mark.xdist_group("pull_request")
def test_a_rego_policy_denies_that_the_pull_request_destroys_data(pull_request: PullRequest) -> None:
    plan = pull_request.folder / "plan.json"
    assert "tickets: replaces collection tickets" in judged(plan, "deny")
    assert [message.partition(" ")[0] for message in judged(plan, "warn")] == ["api.config", "gpus"]


def test_the_paths_that_policies_ask_for_are_where_terraform_has_them(plan: Path) -> None:
    """``input.resource_changes[_]``, ``input.planned_values.root_module.resources[_].values``,
    ``input.configuration.root_module.resources[_].expressions``."""
    data: dict[str, Any] = json.loads(plan.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    assert plan.read_text().count("\n") == 1
    buckets = [c for c in data["resource_changes"] if c["type"] == "aws_s3_bucket" and "create" in c["change"]["actions"]]
    assert {b["name"]: b["change"]["after"].get("versioning") for b in buckets} == {
        "raw": [{"enabled": True, "mfa_delete": False}],
        "registry": [{"enabled": True, "mfa_delete": False}],
        "exports": None,
    }
    values = {r["address"]: r["values"] for r in data["planned_values"]["root_module"]["resources"]}
    assert values["aws_s3_bucket.raw"]["tags"] == {"team": "search"}
    principal = json.loads(values["aws_iam_role.api-role"]["assume_role_policy"])["Statement"][0]["Principal"]
    assert principal == {"Service": "sagemaker.amazonaws.com"}
    written = {r["address"]: r["expressions"] for r in data["configuration"]["root_module"]["resources"]}
    assert "aws_iam_role.api-role" in json.dumps(written["aws_sagemaker_model.api-model"])
