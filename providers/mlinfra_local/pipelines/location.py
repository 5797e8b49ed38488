"""Dagster's code location for the pipeline whose definition MLINFRA_PIPELINE names; loaded by the web page and the daemon."""

from __future__ import annotations

import os
from pathlib import Path

from mlinfra.provider.runs.dagster_job import build_definitions
from mlinfra.provider.runs.pipelines import VARIABLE
from mlinfra_local.pipelines.definition import read
from mlinfra_local.pipelines.runner import LocalRunner

_file = Path(os.environ[VARIABLE])
_definition = read(_file)
defs = build_definitions(_definition, LocalRunner(_definition, _file))
