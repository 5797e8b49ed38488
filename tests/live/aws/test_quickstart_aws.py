"""The quickstart on AWS: planned offline without credentials, applied against moto, changed, drifted, destroyed until nothing is left."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live.aws.work import SageMaker

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart"
REGION = "eu-central-1"


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".mlinfra"))
    return folder


def edit(folder: Path, before: str, after: str) -> None:
    file = folder / "mlinfra.yaml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
