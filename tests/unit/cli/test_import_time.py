"""What a command may import: a person who asks for the version must not wait for pydantic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def imported(*arguments: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, encoding="utf-8", check=True, timeout=60
    )
    return {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}


def loaded(names: set[str], package: str) -> bool:
    return any(name == package or name.startswith(package + ".") for name in names)


@pytest.mark.parametrize("spelling", ["version", "--version", "-v"])
def test_the_version_needs_nothing(spelling: str) -> None:
    names = imported("-m", "mlinfra", spelling)
    assert "mlinfra" in names
    heavy = ["pydantic", "yaml", "click", "rich", "boto3", "pymilvus", "mlflow", "dagster", "asyncio", "importlib.metadata"]
    assert [p for p in heavy if loaded(names, p)] == []
    assert not loaded(names, "mlinfra.cli")


def test_finding_a_command_imports_no_other_command_and_no_heavy_library() -> None:
    names = imported("-c", "import mlinfra.cli.app")
    heavy = [
        "mlflow",
        "dagster",
        "pymilvus",
        "pandas",
        "rich",
        "pydantic",
        "yaml",
        "asyncio",
        "mlinfra.cli.commands",
        "mlinfra.workflow",
    ]
    assert [p for p in heavy if loaded(names, p)] == []


def test_validating_imports_no_library_of_a_resource_that_is_not_there(tmp_path: object) -> None:
    spec = "version: 1\nproject: p\nresources:\n  d: {kind: data, input: 1}\n"
    code = (
        "import pathlib, sys; from mlinfra.cli.app import run\n"
        f"folder = pathlib.Path({str(tmp_path)!r}); (folder / 'mlinfra.yaml').write_text({spec!r})\n"
        "sys.exit(run(['validate', '-C', str(folder)]))"
    )
    names = imported("-c", code)
    heavy = ["mlflow", "dagster", "pymilvus", "milvus_lite", "pandas", "sklearn", "psutil", "rich", "starlette", "uvicorn"]
    assert [p for p in heavy if loaded(names, p)] == []


@pytest.mark.parametrize("command", [["validate"], ["plan"]])
def test_a_spec_of_data_alone_needs_no_pydantic_no_event_loop_and_no_look_through_all_that_is_installed(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "mlinfra.yaml").write_text("version: 1\nproject: p\nresources:\n  d: {kind: data, input: 1}\n")
    names = imported("-m", "mlinfra", *command, "-C", str(tmp_path))
    assert "mlinfra.workflow" in names
    heavy = ["pydantic", "pydantic_core", "importlib.metadata", "jsonschema", "rich", "httpx", "email", "tempfile", "random"]
    assert [p for p in [*heavy, "asyncio", "ssl", "logging", "concurrent.futures"] if loaded(names, p)] == []


def test_a_client_of_aws_needs_no_boto3() -> None:
    code = (
        "from mlinfra_aws.sessions import client_of, session_of; from mlinfra_aws.settings import AwsConfig\n"
        "settings = AwsConfig(region='eu-central-1'); client_of(session_of(settings), 's3', settings)"
    )
    names = imported("-c", code)
    assert "botocore.client" in names
    assert [p for p in ["boto3", "s3transfer", "multiprocessing"] if loaded(names, p)] == []


def test_a_plan_of_aws_with_common_settings_needs_no_model_of_them(tmp_path: Path) -> None:
    spec = (
        "version: 1\nproject: p\nproviders: {aws: {region: eu-central-1, default_tags: {team: ml}}}\n"
        "environments: {default: {target: aws}}\nresources:\n"
        "  models: {kind: aws.s3_bucket, BucketName: models}\n"
        "  machine: {kind: aws.instance, InstanceType: m5.large, ImageId: ami-0123456789abcdef0}\n"
    )
    (tmp_path / "mlinfra.yaml").write_text(spec)
    names = imported("-m", "mlinfra", "plan", "-C", str(tmp_path))
    assert "mlinfra_aws.prices" in names
    assert [p for p in ["pydantic", "pydantic_core", "boto3", "httpx"] if loaded(names, p)] == []
