"""Golden: a spec with ten mistakes or more gives all of them in one run, each with its place and what to do.

``MLINFRA_UPDATE_CASES=1`` writes what is found today; read the diff before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlinfra.model.diagnostic import Span
from mlinfra.model.errors import SpecError
from mlinfra.spec.loader import load

HERE = Path(__file__).parent / "bad"
CASES = sorted(HERE.glob("*.yaml"))


@pytest.mark.parametrize("spec", CASES, ids=lambda p: p.stem)
def test_all_mistakes_are_found_in_one_run(spec: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(spec)
    problems = sorted(caught.value.diagnostics, key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    text = "".join(f"{d.code:20} {d}\n" for d in problems)
    expected = spec.with_suffix(".txt")
    if os.environ.get("MLINFRA_UPDATE_CASES") == "1":
        expected.write_text(text)
    assert text == expected.read_text()
    assert len(problems) >= 10
    lines = spec.read_text().splitlines()
    for problem in problems:
        assert problem.span is not None, problem
        assert points_at_something(lines, problem.span), problem


def points_at_something(lines: list[str], span: Span) -> bool:
    """Whether a caret at the span's start would stand below a character that is no blank."""
    row = lines[span.line - 1]
    return span.column <= len(row) and row[span.column - 1] != " "
