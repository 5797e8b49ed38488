"""The pipeline files that ``mlinfra ci`` writes: valid by their hosts' published schemas, never over somebody's own."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.cli.app import run
from mlinfra.cli.delivery.pipelines import PIPELINES, Pipeline, render

ROOT = Path(__file__).parents[3]
CLOUDS = ("", "aws", "gcp", "azure")
SCHEMAS = {
    "github": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}


@pytest.mark.parametrize("host", sorted(SCHEMAS))
def test_the_files_pass_the_published_schema_of_their_host(host: str, tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    files = []
    for cloud, folder in product(CLOUDS, ("", "ml/prod")):
        for text in render(host, Pipeline(cloud=cloud, folder=folder, environment="prod" if folder else "")).values():
            files.append(tmp_path / f"{cloud}{folder.replace('/', '-')}.yml")
            files[-1].write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *SCHEMAS[host], *map(str, files)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_our_action_and_our_pre_commit_hooks_pass_theirs() -> None:
    pytest.importorskip("check_jsonschema")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [h["entry"] for h in hooks] == ["mlinfra fmt", "mlinfra validate"]
    assert all({"id", "name", "entry", "language", "files"} <= set(h) for h in hooks)


@pytest.mark.parametrize(("host", "cloud"), list(product(sorted(PIPELINES), CLOUDS)))
def test_every_template_is_filled_and_signs_in_to_its_cloud_only(host: str, cloud: str) -> None:
    (text,) = render(host, Pipeline(folder="ml", environment="prod", cloud=cloud, branch="trunk")).values()
    assert re.search(r"@[A-Z]+@", text) is None, text
    assert "#<" not in text and "//<" not in text and "//>" not in text
    assert "-C ml --env prod" in text and "trunk" in text and f"mlinfra-iac[{cloud or 'all'}]" in text
    marks = {
        "aws": "AWS_ROLE_ARN|configure-aws",
        "gcp": "GOOGLE_APPLICATION|google-github",
        "azure": "AZURE_FEDERATED|azure/login",
    }
    for name, either in marks.items():
        assert any(mark in text for mark in either.split("|")) == (name == cloud)
    if host == "github":
        jobs: dict[str, Any] = yaml.safe_load(text)["jobs"]
        assert all(("id-token" in job["permissions"]) == bool(cloud) for job in jobs.values())
        assert jobs["plan"]["permissions"]["contents"] == "read" and "contents" in jobs["apply"]["permissions"]


def test_the_file_goes_to_the_root_of_the_repository_and_over_nobodys_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    spec = tmp_path / "infra/ml"
    spec.mkdir(parents=True)
    assert run(["ci", "gitlab", "-C", str(spec), "--env", "prod", "--cloud", "aws"]) == 0
    file = tmp_path / ".gitlab-ci.yml"
    assert "-C infra/ml --env prod" in file.read_text() and "Next:" in capsys.readouterr().out
    assert run(["ci", "gitlab", "-C", str(spec)]) == 0, "it may replace what it wrote itself"
    file.write_text("stages: [mine]\n")
    assert run(["ci", "gitlab", "-C", str(spec)]) == 1
    assert "was not written by mlinfra ci" in capsys.readouterr().err and file.read_text() == "stages: [mine]\n"
    assert run(["ci", "gitlab", "-C", str(spec), "--print"]) == 0
    assert "# Written by" in capsys.readouterr().out and file.read_text() == "stages: [mine]\n"
    assert run(["ci", "gitlab", "-C", str(spec), "--force"]) == 0 and "Written by" in file.read_text()
    assert run(["ci", "svn"]) == 1
