"""Golden cases: a folder with a spec, and what the command says of it.

``expected_plan.txt``         what ``mlinfra plan`` prints for ``mlinfra.yaml``
``expected_diagnostics.txt``  what it prints when it refuses (exit 1)
``before.yaml``               is applied first, where there is one
``arguments.txt``             further arguments

``MLINFRA_UPDATE_CASES=1`` writes what is printed today; read the diff before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

HERE = Path(__file__).parent
CASES = sorted(p.name for p in HERE.iterdir() if (p / "mlinfra.yaml").is_file())
PLAN_SCHEMA = json.loads((HERE.parent.parent / "schemas/plan.schema.json").read_text())
UPDATE = os.environ.get("MLINFRA_UPDATE_CASES") == "1"
EXPECTED = re.compile(r"expected_(plan|diagnostics)\.txt")


def run_case(name: str, tmp_path: Path, run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]) -> tuple[int, str]:
    """Exit code and what was printed, with what differs from run to run replaced."""
    source = HERE / name
    before = source / "before.yaml"
    folder = spec_folder((before if before.exists() else source / "mlinfra.yaml").read_text())
    kept = {"before.yaml", "mlinfra.yaml", "arguments.txt", "expected_plan.txt", "expected_diagnostics.txt"}
    shutil.copytree(
        source, folder, dirs_exist_ok=True, ignore=lambda at, names: kept & set(names) if Path(at) == source else set()
    )
    if before.exists():
        applied = run_mlinfra(["apply", "--yes"], folder)
        assert applied.code == 0, applied.text
        (folder / "mlinfra.yaml").write_text((source / "mlinfra.yaml").read_text())
    arguments = source / "arguments.txt"
    more = shlex.split(arguments.read_text()) if arguments.exists() else []
    files = [
        "--json-into",
        str(tmp_path / "plan.json"),
        "--markdown",
        str(tmp_path / "plan.md"),
        "--html",
        str(tmp_path / "plan.html"),
    ]
    done = run_mlinfra(["plan", "--no-color", "--no-refresh", *more, *files], folder)
    text = re.sub(r"\b[0-9a-f]{32}\b", "<id>", done.out + done.err).replace(str(folder), "<folder>")
    return done.code, "".join(line.rstrip() + "\n" for line in text.splitlines())


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path, run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]) -> None:
    code, text = run_case(name, tmp_path, run_mlinfra, spec_folder)
    assert "Traceback" not in text and "bug in mlinfra" not in text, text
    kind = "plan" if code == 0 else "diagnostics"
    if UPDATE:
        for stale in (HERE / name).glob("expected_*.txt"):
            stale.unlink()
        (HERE / name / f"expected_{kind}.txt").write_text(text)
    expected = next((HERE / name).glob("expected_*.txt"))
    match = EXPECTED.fullmatch(expected.name)
    assert match and match[1] == kind, text
    assert text == expected.read_text()


@pytest.fixture(autouse=True)
def every_plan_keeps_to_terraforms_format(tmp_path: Path) -> Iterator[None]:
    """Whatever case was run: its plan's JSON is valid, and no format holds the secret that the cases plant."""
    yield
    file = tmp_path / "plan.json"
    if file.exists():
        jsonschema.Draft202012Validator(PLAN_SCHEMA).validate(json.loads(file.read_text()))
        for path in (file, tmp_path / "plan.md", tmp_path / "plan.html"):
            assert "s3cr3t" not in path.read_text(), path


def test_ten_mistakes_give_ten_diagnostics_with_place_and_help() -> None:
    text = (HERE / "ten_mistakes" / "expected_diagnostics.txt").read_text()
    errors = re.split(r"(?m)^(?=Error: )", text)[1:]
    assert len(errors) == 10, text
    for error in errors:
        assert re.search(r"mlinfra\.yaml:\d+:\d+", error), error
        assert "^" in error, error
