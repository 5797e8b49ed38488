"""What a change of the spec means between two git revisions, against a recorded state."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mlinfra.cli.app import run

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
SPEC = "version: 1\nproject: p\nresources:\n  raw: {kind: bucket}\n  one: {kind: data, input: 1}\n"


class Repository:
    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.spec, self.capsys = root, root / "ml/mlinfra.yaml", capsys
        self.spec.parent.mkdir()
        (root / ".gitignore").write_text(".mlinfra\n")
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> None:
        names = ["-c", "user.email=a@b", "-c", "user.name=n", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *names, *words], cwd=self.root, check=True, capture_output=True)

    def commit(self, text: str, tag: str) -> None:
        self.spec.write_text(text)
        self.git("add", ".")
        self.git("commit", "-qm", tag)
        self.git("tag", tag)

    def __call__(self, *words: str) -> tuple[int, str]:
        self.capsys.readouterr()
        code = run([*words, "-C", str(self.spec.parent)])
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err and "bug" not in said.err
        return code, said.out + said.err


@pytest.fixture
def repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Repository:
    found = Repository(tmp_path, capsys)
    found.commit(SPEC, "applied")
    assert found("apply", "--yes")[0] == 0
    found.commit(SPEC.replace("input: 1", "input: 2"), "pending")
    found.commit(SPEC.replace("input: 1", "input: 2").replace("bucket}", "bucket, versioning: true}"), "later")
    return found


def test_only_what_the_later_revision_adds_is_shown(repository: Repository) -> None:
    code, text = repository("diff", "pending..later", "--detailed-exitcode")
    assert code == 2 and "versioning = false → true" in text and "input" not in text
    assert "To be done at the base already, and not shown: one" in text
    code, text = repository("diff", "applied..later")
    assert code == 0 and "2 to change" in text
    assert repository("diff", "later..later", "--detailed-exitcode")[0] == 0


def test_the_files_as_they_are_stand_for_the_later_revision(repository: Repository) -> None:
    repository.spec.write_text(repository.spec.read_text() + "  new: {kind: data, input: 3}\n")
    code, text = repository("diff", "later")
    assert code == 0 and "# new will be created" in text and "1 to add, 0 to change" in text


def test_from_where_two_branches_parted(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "feature", "applied")
    repository.commit(SPEC + "  mine: {kind: data, input: 9}\n", "mine")
    text = repository("diff", "main...feature")[1]
    assert "# mine will be created" in text and "versioning" not in text


def test_every_format_is_written_and_what_is_dropped_is_named(repository: Repository) -> None:
    files = [str(repository.root / name) for name in ("d.json", "d.md", "d.html")]
    code, text = repository("diff", "later..pending", "--json-into", files[0], "--markdown", files[1], "--html", files[2])
    assert code == 0 and "Not to be done any more, and not shown: raw" in text
    assert (
        json.loads(Path(files[0]).read_text())["resource_changes"] is not None
        and "<!-- mlinfra plan" in Path(files[1]).read_text()
    )
    data = json.loads(repository("diff", "pending..later", "--json")[1])
    assert [c["address"] for c in data["resource_changes"] if c["change"]["actions"] == ["update"]] == ["local_bucket.raw"]


def test_mistakes_are_told_in_words(repository: Repository) -> None:
    assert "there is no git revision 'nope'" in repository("diff", "nope..later")[1]
    assert repository("diff", "--", "-x")[0] == 1
    repository.commit(SPEC.replace("bucket", "bukket"), "broken")
    code, text = repository("diff", "applied..broken")
    assert code == 1 and "at " in text and "bukket" in text


def test_outside_of_git_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mlinfra.yaml").write_text(SPEC)
    assert run(["diff", "a..b", "-C", str(tmp_path)]) == 1
    assert "not a git repository" in capsys.readouterr().err
