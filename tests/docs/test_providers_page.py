"""docs/providers.md does what it says: its package is built, installed, held against the contract, and applied."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, written out."""
    folder = tmp_path_factory.mktemp("textfile")
    for name, text in BLOCK.findall(PAGE.read_text()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the built wheel is installed."""
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, package], check=True, timeout=300)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(target), os.environ.get("PYTHONPATH"))))}


def test_the_provider_meets_the_contract(package: Path, installed: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "tests"],
        cwd=package,
        env={**os.environ, **installed, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.search(r"(\d+) passed", done.stdout)
    assert counts and int(counts[1]) >= 15, done.stdout


def test_the_spec_is_applied_and_destroyed(
    package: Path, installed: dict[str, str], tmp_path: Path, run_mlinfra: Callable[..., Any]
) -> None:
    def mlinfra(*arguments: str) -> Any:
        return run_mlinfra(list(arguments), tmp_path, environment=installed)

    (tmp_path / "mlinfra.yaml").write_text((package / "mlinfra.yaml").read_text())
    applied = mlinfra("apply", "--yes")
    assert applied.code == 0, applied.text
    for line in ("Plan: 2 to add, 0 to change, 0 to destroy.", "Apply complete! Resources: 2 added, 0 changed, 0 destroyed."):
        assert line in applied.out
        assert line in PAGE.read_text()
    hello = tmp_path / "notes" / "hello.txt"
    assert hello.read_text() == "Hello from notes"
    assert (tmp_path / "notes" / "settings").read_text() == '{"owner": "ml-platform", "replicas": 2}'
    assert mlinfra("plan", "--detailed-exitcode").code == 0

    hello.write_text("changed by hand")
    drifted = mlinfra("plan", "--detailed-exitcode")
    assert drifted.code == 2, drifted.text
    assert "changed by hand" in drifted.out
    assert mlinfra("apply", "--yes").code == 0
    assert hello.read_text() == "Hello from notes"

    destroyed = mlinfra("destroy", "--yes")
    assert destroyed.code == 0, destroyed.text
    assert not hello.exists()
