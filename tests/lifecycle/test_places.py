"""A provider says which attribute is at fault; the error shows where the user wrote it."""

from __future__ import annotations

import os
from pathlib import Path

from mlinfra import workflow
from mlinfra.workspace import Options

SPEC = """\
version: 1
project: places
resources:
  raw: {kind: bucket}
  rows:
    kind: dataset
    bucket: ${raw}
    source: rows.csv
"""


def test_a_failure_of_an_attribute_is_shown_at_the_line_of_that_attribute(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text(SPEC)
    source = tmp_path / "rows.csv"
    source.write_text("a\n")
    o = Options(directory=tmp_path, environ=dict(os.environ))
    planned = workflow.plan(o)
    source.unlink()
    failure = workflow.apply(o, planned).failures[0]
    assert failure.span is not None and (failure.span.line, failure.span.column) == (8, 13)
