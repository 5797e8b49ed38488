"""Saved plans as files: disjoint ones both apply, of two that overlap the second is refused by name; altered, shown, cut off."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from mlinfra.cli.app import run

SPEC = """\
version: 1
project: saved
variables: {n: {type: integer, default: 1}, m: {type: integer, default: 1}, key: {type: string, sensitive: true, default: s3cr3t-value}}
resources:
  one: {kind: data, input: "${vars.n}"}
  two: {kind: data, input: "${vars.m}"}
  both: {kind: data, input: "${vars.n + vars.m}"}
  hidden: {kind: data, input: "${vars.key}"}
"""


class Folder:
    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.capsys = path, capsys
        (path / "mlinfra.yaml").write_text(SPEC)
        assert self("apply", "--yes")[0] == 0

    def __call__(self, *words: str) -> tuple[int, str]:
        self.capsys.readouterr()
        code = run([*words, "-C", str(self.path)])
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err and "s3cr3t" not in said.out + said.err
        return code, said.out + said.err

    def plan(self, name: str, *words: str) -> str:
        file = str(self.path / name)
        code, text = self("plan", "--out", file, *words)
        assert code == 0, text
        return file


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, capsys)


def test_disjoint_plans_both_apply(folder: Folder) -> None:
    first, second = folder.plan("a", "--var", "n=2", "--target", "one"), folder.plan("b", "--var", "m=2", "--target", "two")
    assert folder("apply", first)[0] == 0
    assert folder("apply", second)[0] == 0
    assert "one: 2" in folder("state", "show", "one")[1] or "2" in folder("state", "show", "one")[1]


def test_of_two_that_overlap_the_second_is_refused_and_names_the_object(folder: Folder) -> None:
    first, second = folder.plan("a", "--var", "n=2", "--target", "both"), folder.plan("b", "--var", "m=3", "--target", "both")
    assert folder("apply", first)[0] == 0
    code, text = folder("apply", second)
    assert code == 5 and "Error: the plan is stale: both was changed since" in text
    code, text = folder("apply", first)
    assert code == 5 and "both was changed since" in text


def test_it_is_shown_in_every_format_by_somebody_who_has_no_secret(folder: Folder, tmp_path: Path) -> None:
    file = folder.plan("p", "--var", "n=2", "--var", "key=s3cr3t-other")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = {name: str(elsewhere / f"p.{name}") for name in ("json", "md", "html")}
    words = ["--json-into", files["json"], "--markdown", files["md"], "--html", files["html"]]
    assert run(["show", file, *words, "-C", str(elsewhere)]) == 0
    assert json.loads(Path(files["json"]).read_text())["mlinfra"]["summary"]["change"] == 3
    for path in (*files.values(), file):
        data = Path(path).read_bytes()
        assert b"s3cr3t-other" not in (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data), path
    code, text = folder("show", "--html", files["html"])
    assert code == 1 and "show a saved plan" in text


def test_one_byte_altered_is_refused(folder: Folder) -> None:
    file = Path(folder.plan("p", "--var", "n=2"))
    whole = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(whole.replace(b'"environment":""', b'"environment":"x"', 1)))
    assert whole != gzip.decompress(file.read_bytes())
    code, text = folder("apply", str(file))
    assert code == 1 and "[plan.altered]" in text


def test_a_plan_that_was_cut_off_goes_on_and_another_one_does_not(folder: Folder) -> None:
    from mlinfra import upkeep
    from mlinfra.state import progress
    from mlinfra.workspace import Options, location_now

    file = folder.plan("p", "--var", "n=2", "--var", "m=2")
    other = folder.plan("o", "--var", "n=2", "--target", "one")
    options = Options(directory=folder.path)
    where = location_now(options)
    progress.begin(where, upkeep.shown_plan(Path(file)).saved)  # what a killed apply of p leaves, with one of its changes done:
    assert folder("apply", "--yes", "--var", "n=2", "--target", "one")[0] == 0
    code, text = folder("apply", other)
    assert code == 5 and "one was changed since" in text
    code, text = folder("apply", file)
    assert code == 0 and "going on with what is left of it" in text and "2 changed" in text
    assert progress.begun(where) == ""
    code, text = folder("apply", file)
    assert code == 5 and "stale" in text
