"""Dagster's code location for the pipeline whose definition MLINFRA_PIPELINE names; loaded by the web page and the daemon."""

from __future__ import annotations

import os
from pathlib import Path

from mlinfra_local.pipelines.build import build_definitions
from mlinfra_local.pipelines.definition import VARIABLE, read

_file = Path(os.environ[VARIABLE])
defs = build_definitions(read(_file), _file)
