"""Policies through the command: exit codes, every format, saved plans, history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlinfra.cli.app import run

SPEC = """\
version: 1
project: pol
environments: {dev: {target: local}, prod: {target: local}}
budget: {prod: 1200 USD/year}
resources:
  raw: {kind: bucket, tags: {team: search}}
policies:
  - name: buckets_are_versioned
    deny: change.kind == "bucket" && change.action != "delete" && !change.after.versioning
    message: a bucket keeps its versions
  - file: shared/company.yaml
"""
SHARED = """\
policies:
  - {name: teams, warn: '!has(change.tags.team)', message: tag it}
"""


class Folder:
    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.capsys = path, capsys
        self.write(SPEC)
        (path / "shared").mkdir()
        (path / "shared/company.yaml").write_text(SHARED)

    def write(self, text: str) -> None:
        (self.path / "mlinfra.yaml").write_text(text)

    def __call__(self, *words: str) -> tuple[int, str]:
        self.capsys.readouterr()
        code = run([*words, "-C", str(self.path)])
        said = self.capsys.readouterr()
        assert "Traceback" not in said.err and "bug" not in said.err
        return code, said.out + said.err


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, capsys)


def test_a_refused_plan_exits_with_3_in_every_format_and_changes_nothing(folder: Folder) -> None:
    files = {name: folder.path / f"out/plan.{name}" for name in ("json", "md", "html")}
    code, text = folder(
        "plan", "--detailed-exitcode", "--json-into", str(files["json"]), "--markdown", str(files["md"]), "--html", str(files["html"]),
    )  # fmt: skip
    assert code == 3 and "[policy.refused]\n" in text and "mlinfra.yaml:9:11" in text
    plan = json.loads(files["json"].read_text())
    assert plan["errored"] and not plan["applyable"]
    assert plan["checks"][0]["instances"][0]["problems"] == [{"message": "raw: a bucket keeps its versions"}]
    assert "Refused by policy" in files["md"].read_text() and "refused by policy" in files["html"].read_text()
    code, text = folder("apply", "--yes")
    assert code == 3 and "nothing was changed" in text
    code, text = folder("apply", "--yes", "--json")
    events = [json.loads(line) for line in text.splitlines()]
    assert code == 3 and [e["policy"]["refuses"] for e in events if e["type"] == "policy"] == [True]
    assert "The state is empty" in folder("state", "list")[1]


def test_a_saved_plan_keeps_its_verdicts_and_is_borne_for_a_reason_that_history_keeps(folder: Folder) -> None:
    file = str(folder.path / "p.plan")
    code, text = folder("plan", "--out", file)
    assert code == 3 and "cannot be applied while a policy refuses it" in text
    assert folder("apply", file)[0] == 3
    assert "policy.refused" in folder("show", file)[1]
    code, text = folder("apply", file, "--override-policy", "buckets_are_versioned")
    assert code == 1 and "needs its reason" in text
    code, text = folder("apply", file, "-override-policy=buckets_are_versioned=INC-7: scratch")
    assert code == 0 and "Overridden: INC-7: scratch" in text
    (entry,) = json.loads(folder("history", "--json")[1])
    assert entry["overrides"] == [{"policy": "buckets_are_versioned", "reason": "INC-7: scratch"}]
    assert "buckets_are_versioned: INC-7: scratch" in folder("history")[1]


def test_the_reason_can_be_given_when_the_plan_is_made(folder: Folder) -> None:
    file = str(folder.path / "p.plan")
    assert folder("plan", "--out", file, "--override-policy", "buckets_are_versioned=agreed")[0] == 0
    code, text = folder("apply", file)
    assert code == 0 and "Overridden: agreed" in text


MISTAKES = {
    "deny: change.kind == ": ("deny: chang.kind == ", "there is no chang here", "mlinfra.yaml:9:"),
    "&& change.action": ("&& && change.action", "expression", "mlinfra.yaml:9:"),
    "name: buckets_are_versioned": ("name: Buckets", "cannot name a policy", "mlinfra.yaml:8:"),
    "    message: a bucket": ("    warn: 'true'\n    message: a bucket", "takes either 'deny' or 'warn'", "mlinfra.yaml:8:"),
    "shared/company.yaml": ("shared/nope.yaml", "there is no policy file shared/nope.yaml", "mlinfra.yaml:11:"),
    "1200 USD/year": ("a lot", "must be an amount a month", "mlinfra.yaml:4:"),
    "name: buckets_are": ("nam: buckets_are", "nam", "mlinfra.yaml:8:"),
}


@pytest.mark.parametrize("written", MISTAKES)
def test_mistakes_are_shown_at_their_place(folder: Folder, written: str) -> None:
    instead, message, place = MISTAKES[written]
    folder.write(SPEC.replace(written, instead))
    code, text = folder("validate")
    assert code == 1 and message in text and place in text, text


def test_a_shared_file_is_checked_where_it_stands_and_names_are_given_once(folder: Folder) -> None:
    (folder.path / "shared/company.yaml").write_text(SHARED + "  - {name: buckets_are_versioned, deny: 'change.x('}\n")
    code, text = folder("validate")
    assert code == 1 and "given twice" in text and "company.yaml:3" in text


def test_a_rollback_and_a_saved_plan_find_the_shared_rules_again(folder: Folder) -> None:
    assert folder("apply", "--yes", "--override-policy", "buckets_are_versioned=first")[0] == 0
    (folder.path / "shared/company.yaml").unlink()
    folder.write(SPEC.replace("  - file: shared/company.yaml\n", "").replace("kind: bucket,", "kind: bucket, versioning: true,"))
    assert folder("apply", "--yes")[0] == 0
    code, text = folder("rollback", "1", "--yes")
    assert code == 3 and "policy buckets_are_versioned" in text
