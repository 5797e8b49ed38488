"""What happens to a step in a cloud's container: its inputs and outputs, what it is told, what is told of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mlinfra.provider import files
from mlinfra.provider.runs import container

WRITES = "import os; open(os.environ['MLINFRA_OUTPUT_CLEAN'] + '/a.txt', 'w').write(open(os.environ['MLINFRA_INPUT_RAW']).read())"


def places(folder: Path, **inputs: Path) -> container.Places:
    (folder / "code").mkdir(exist_ok=True)
    return container.Places(
        code=folder / "code", inputs=inputs, content=folder / "content", results=folder / "results", above=folder / "above",
        kept=folder / "kept", uri=lambda digest: f"store/content/{digest}",
    )  # fmt: skip


def run(at: container.Places, step: dict[str, Any], **more: Any) -> int:
    whole = {"argv": [], "inputs": {}, "takes": {}, "outputs": [], "expect": {}, "results": [], "retries": 0, **step}
    return container.run("clean", {"requirements": [], "steps": {"clean": whole}}, at, **more)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_an_output_is_kept_below_its_digest_and_told(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("1,2")
    at = places(tmp_path, raw=tmp_path / "raw.csv")
    assert run(at, {"argv": python(WRITES), "inputs": {"raw": "store/raw.csv"}, "outputs": ["clean"]}) == 0
    record = json.loads((at.results / "clean.json").read_text())
    digest = record["digests"]["clean"]
    folder = at.content / digest.removeprefix("sha256:")
    assert (folder / "a.txt").read_text() == "1,2"
    assert digest == files.digest_files(files.select(folder, ".")).digest
    assert record["outputs"] == {"clean": f"store/content/{digest.removeprefix('sha256:')}"}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"argv": python("raise SystemExit(3)")}, "ended with exit code 3"),
        ({"argv": python("pass"), "outputs": ["clean"]}, "nothing was written to the output clean"),
        ({"inputs": {"raw": "store/raw.csv"}}, "there is nothing at store/raw.csv, the input raw"),
        ({"takes": {"clean": "before.clean"}}, "the step before left no record"),
    ],
)
def test_why_a_step_failed_is_written_down(tmp_path: Path, step: dict[str, Any], said: str) -> None:
    at = places(tmp_path)
    assert run(at, step) == 1
    assert said in (at.results / "clean.failed").read_text() and not (at.results / "clean.json").exists()


def test_a_step_is_tried_again_as_often_as_it_may_be(tmp_path: Path) -> None:
    counts = f"import pathlib, sys; p = pathlib.Path({str(tmp_path / 'n')!r}); n = len(p.read_text()) if p.exists() else 0"
    fails_twice = f"{counts}; p.write_text('x' * (n + 1)); sys.exit(0 if n == 2 else 1)"
    assert run(places(tmp_path), {"argv": python(fails_twice), "retries": 1}) == 1
    assert run(places(tmp_path), {"argv": python(fails_twice), "retries": 1}) == 0


def test_what_earlier_steps_gave_is_taken_and_their_metrics_are_checked(tmp_path: Path) -> None:
    at = places(tmp_path)
    (at.kept / "abc").mkdir(parents=True)
    (at.kept / "abc" / "rows.txt").write_text("5")
    at.above.mkdir()
    (at.above / "before.json").write_text(json.dumps({"digests": {"rows": "sha256:abc"}, "metrics": {"accuracy": 0.8}}))
    reads = "import os; assert open(os.environ['MLINFRA_INPUT_ROWS'] + '/rows.txt').read() == '5'"
    step = {"argv": python(reads), "takes": {"rows": "before.rows"}, "results": ["before"]}
    assert run(at, {**step, "expect": {"accuracy": "> 0.7"}}) == 0
    assert run(at, {**step, "expect": {"accuracy": "> 0.9"}}) == 1
    assert "accuracy" in (at.results / "clean.failed").read_text()


def test_only_the_first_process_keeps_and_tells(tmp_path: Path) -> None:
    at = places(tmp_path)
    told = "import os; assert (os.environ['MLINFRA_RANK'], os.environ['MLINFRA_WORLD_SIZE'], os.environ['MLINFRA_HEAD']) == ('1', '2', 'h')"
    assert run(at, {"argv": python(told)}, rank=1, world=2, head="h") == 0
    assert not at.results.exists()
