"""A registered model that is made anew takes its versions and aliases along: they lie in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

SPEC = """\
version: 1
project: models
resources:
  registry: {kind: model_registry}
  router:
    kind: model
    registry: ${registry}
    versions: {v1: {artifact: router}}
    aliases: {champion: v1}
"""


def test_versions_and_aliases_go_before_the_model_and_come_after_it(
    spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any]
) -> None:
    folder = spec_folder(SPEC, {"router/MLmodel": "artifact_path: model\nflavors: {}\n"})
    try:
        assert run_mlinfra(["apply", "--yes"], folder).code == 0
        replaced = run_mlinfra(["apply", "--yes", "--replace", "router"], folder)
        assert replaced.code == 0, replaced.text
        assert "Resources: 3 added, 0 changed, 3 destroyed." in replaced.text
        assert run_mlinfra(["plan", "--detailed-exitcode"], folder).code == 0
    finally:
        assert run_mlinfra(["destroy", "--yes"], folder).code == 0
