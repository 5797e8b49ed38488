"""Every command against the real engine, with buckets and values on this machine."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlinfra.cli.app import run

SPEC = """\
version: 1
project: shop

variables:
  n: {type: integer, default: 1}
  key: {type: string, default: s3cr3t, sensitive: true}

resources:
  raw:
    kind: bucket
  one:
    kind: data
    input: {n: "${vars.n}", uri: "${raw.uri}"}
  hidden: {kind: data, input: "${vars.key}"}

outputs:
  uri: ${raw.uri}
  n: ${one.output.n}
  key: {value: "${vars.key}", sensitive: true}
"""


@dataclass
class Stack:
    """A spec's folder, and the command called in it."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str, code: int = 0) -> str:
        """What the command writes to standard output; fails on another exit code than ``code``."""
        found, out, err = self.both(*words)
        assert found == code, f"{words}: exit {found}\n{out}\n{err}"
        return out

    def both(self, *words: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run([*words, "-C", str(self.folder)])
        captured = self.capsys.readouterr()
        assert "s3cr3t" not in captured.out + captured.err
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    @property
    def buckets(self) -> Path:
        return self.folder / ".mlinfra/local/shop-default/buckets"


@pytest.fixture
def stack(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.delenv("MLINFRA_ENV", raising=False)
    (tmp_path / "mlinfra.yaml").write_text(SPEC)
    return Stack(tmp_path, capsys)


@pytest.fixture
def applied(stack: Stack) -> Stack:
    stack("apply", "--yes")
    return stack


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Says something at the terminal when asked."""

    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    yield lambda text: monkeypatch.setattr("sys.stdin", Keyboard(text))


def test_apply_ends_with_terraform_s_line_and_the_outputs(stack: Stack) -> None:
    out = stack("apply", "-auto-approve")
    assert "\nPlan: 3 to add, 0 to change, 0 to destroy.\n" in out
    assert "raw: Creating...\n" in out and "raw: Creation complete after 0s [id=raw]\n" in out
    assert out.endswith(
        "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.\n\nOutputs:\n\n"
        'key = (sensitive)\nn   = 1\nuri = "local://buckets/raw"\n'
    )
    assert (stack.buckets / "raw").is_dir()


def test_plan_exits_with_2_only_when_asked_and_only_with_changes(stack: Stack) -> None:
    stack("plan")
    stack("plan", "-detailed-exitcode", code=2)
    stack("apply", "--yes")
    assert stack("plan", "-detailed-exitcode") == "No changes. Your infrastructure matches the configuration.\n"
    assert "~ input.n = 1 → 2" in stack("plan", "-detailed-exitcode", "-var", "n=2", code=2)


def test_apply_asks_and_only_yes_is_yes(stack: Stack, answer: Callable[[str], None]) -> None:
    for text in ("y\n", "no\n", ""):
        answer(text)
        assert stack("apply", code=1).endswith("Enter a value: Apply cancelled.\n")
        assert not stack.buckets.exists()
    answer("yes\n")
    assert "Apply complete!" in stack("apply")


def test_what_others_changed_meanwhile_is_planned_and_asked_anew(applied: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyboard(io.StringIO):
        asked = 0

        def isatty(self) -> bool:
            return True

        def readline(self, size: int | None = -1) -> str:
            self.asked += 1
            if self.asked == 1:
                assert run(["apply", "--yes", "--var", "n=5", "-C", str(applied.folder)]) == 0
            return "yes\n"

    monkeypatch.setattr("sys.stdin", Keyboard())
    _, out, err = applied.both("apply", "--var", "n=2")
    assert "planning again" in err and "~ input.n = 5 → 2" in out and out.count("Enter a value") == 2


def test_a_saved_plan_is_performed_at_once_and_only_while_it_is_fresh(applied: Stack) -> None:
    file = applied.folder / "p.plan"
    assert f"mlinfra apply {file}" in applied("plan", "-var=n=2", f"-out={file}")
    assert "~ input.n = 1 → 2" in applied("show", str(file))
    assert json.loads(applied("show", "--json", str(file)))["mlinfra"]["summary"]["change"] == 1
    assert "Resources: 0 added, 1 changed, 0 destroyed." in applied("apply", str(file))
    code, _, err = applied.both("apply", str(file))
    assert code == 5 and "[plan.stale]" in err and "one" in err
    code, _, err = applied.both("apply", str(file), "--target", "one")
    assert code == 1 and "--target cannot change a saved plan" in err


def test_a_saved_plan_takes_variables_only_as_it_was_made_with(applied: Stack) -> None:
    file = str(applied.folder / "p.plan")
    applied("plan", "--var=n=2", "--out", file)
    code, _, err = applied.both("apply", file, "--var", "n=3")
    assert code == 1 and "made with another value than --var n" in err
    assert "1 changed" in applied("apply", file, "--var", "n=2", "--var", "key=s3cr3t")


def test_a_damaged_plan_file_is_refused_in_words(applied: Stack) -> None:
    file = applied.folder / "p.plan"
    applied("plan", "--var=n=2", "--out", str(file))
    whole = file.read_bytes()
    for at in range(len(whole)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        code, _, err = applied.both("show", str(file))
        assert code == 0 or ("[plan." in err and "bug" not in err), err


def test_what_is_recorded_can_be_looked_at_without_the_variables_of_the_spec(applied: Stack) -> None:
    spec = applied.folder / "mlinfra.yaml"
    spec.write_text(spec.read_text().replace("default: s3cr3t, ", "").replace("{n: ", "{oops: 1, n: "))
    for words in (("output", "n"), ("state", "list"), ("show",), ("history",), ("state", "pull")):
        assert applied(*words)


def test_the_state_is_mended_with_an_answer_in_json(applied: Stack) -> None:
    assert json.loads(applied("state", "mv", "one", "two", "--json")) == {"moved": {"one": "two"}}
    assert json.loads(applied("state", "rm", "two", "raw", "--json")) == {"forgotten": ["two", "raw"]}


def test_the_plan_can_be_written_as_json(stack: Stack) -> None:
    file = stack.folder / "plan.json"
    stack("plan", "--json-into", str(file))
    text = file.read_text()
    plan = json.loads(text)
    made = {c["address"] for c in plan["resource_changes"] if c["change"]["actions"] == ["create"]}
    assert made == {"local_bucket.raw", "local_data.one", "local_data.hidden"}
    assert plan["mlinfra"]["project"] == "shop" and "s3cr3t" not in text


def test_json_output_is_a_stream_of_events(stack: Stack) -> None:
    events = [json.loads(line) for line in stack("apply", "--yes", "-json").splitlines()]
    types = [e["type"] for e in events]
    assert types.count("planned_change") == types.count("apply_start") == types.count("apply_complete") == 3
    assert [e["@message"] for e in events if e["type"] == "change_summary"] == [
        "Plan: 3 to add, 0 to change, 0 to destroy.",
        "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.",
    ]
    assert events[-1]["type"] == "outputs" and events[-1]["outputs"]["n"]["value"] == 1


def test_what_fails_is_shown_with_its_place_and_apply_goes_on_later(stack: Stack) -> None:
    (stack.buckets / "raw").mkdir(parents=True)
    code, out, err = stack.both("apply", "--yes")
    assert code == 1
    assert "Error: " in err and "mlinfra.yaml:9:3" in err and "mlinfra import raw raw" in err
    assert "one: Not tried, because raw failed" in out
    assert "Apply incomplete. Resources: 1 added, 0 changed, 0 destroyed; 1 failed, 1 not tried." in out
    assert out.endswith("Everything done so far is recorded; run apply again to go on.\n")
    (stack.buckets / "raw").rmdir()
    assert "Resources: 2 added" in stack("apply", "--yes")


def test_destroy_shows_what_goes_asks_and_leaves_nothing(applied: Stack, answer: Callable[[str], None]) -> None:
    answer("no\n")
    assert applied("destroy", code=1).endswith("Destroy cancelled.\n")
    answer("yes\n")
    out = applied("destroy")
    assert "  # raw will be destroyed\n  - local.bucket" in out
    assert "Plan: 0 to add, 0 to change, 3 to destroy." in out
    assert out.endswith("Destroy complete! Resources: 3 destroyed.\n")
    assert applied("state", "list") == "The state is empty.\n"
    assert not (applied.buckets / "raw").exists()


def test_drift_is_shown_with_its_place_and_refresh_records_it(applied: Stack) -> None:
    assert applied("drift", "--detailed-exitcode") == "No drift. The world is as it was recorded.\n"
    shutil.rmtree(applied.buckets / "raw")
    assert "raw (local.bucket) is gone  at " in applied("drift", "--detailed-exitcode", code=2)
    assert json.loads(applied("drift", "--json"))["drift"][0]["gone"] is True
    assert [r["state"] for r in json.loads(applied("status", "--json")) if r["address"] == "raw"] == ["gone"]
    assert applied("refresh").endswith("Refresh complete! The state says what the world is.\n")
    assert "raw" not in applied("state", "list")
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in applied("plan")


def test_targets_and_replace_reach_the_plan(applied: Stack) -> None:
    assert "  # raw will be replaced, as requested\n" in applied("plan", "-replace=raw")
    assert "No changes." in applied("plan", "-var", "n=2", "-target=raw")
    assert "No changes." in applied("plan", "-var", "n=2", "--exclude", "one")


def test_outputs_are_there_for_people_and_for_scripts(applied: Stack) -> None:
    assert applied("output") == 'key = (sensitive)\nn   = 1\nuri = "local://buckets/raw"\n'
    assert applied("output", "uri") == '"local://buckets/raw"\n'
    assert applied("output", "-raw", "uri") == "local://buckets/raw\n"
    assert json.loads(applied("output", "-json"))["n"] == {"value": 1, "type": "number", "sensitive": False}
    assert json.loads(applied("output", "-json", "n")) == 1
    assert "is sensitive" in applied.both("output", "key")[2]
    assert "did you mean uri?" in applied.both("output", "urii")[2]


def test_the_state_can_be_listed_shown_moved_and_forgotten(applied: Stack) -> None:
    assert next(line.split() for line in applied("state", "list").splitlines()[1:2])[:2] == ["hidden", "local.data"]
    assert "    needs: raw" in applied("state", "show", "one")
    assert 'uri           = "local://buckets/raw"' in applied("show", "raw")
    assert len(json.loads(applied("show", "--json"))["resources"]) == 3
    assert "did you mean one?" in applied.both("state", "show", "onee")[2]
    assert applied("state", "mv", "one", "uno") == "Moved one to uno.\n"
    assert applied("state", "rm", "uno") == "Forgot uno.\n"
    assert len(json.loads(applied("state", "pull"))["resources"]) == 2
    assert applied.both("state", "rm", "uno")[0] == 1


def test_import_takes_over_what_exists(stack: Stack) -> None:
    (stack.buckets / "raw").mkdir(parents=True)
    out = stack("import", "raw", "raw")
    assert "raw: Import complete after 0s [id=raw]" in out and "Import complete!" in out
    assert "raw" in stack("state", "list")


def test_history_lists_the_applies_and_rollback_goes_back(applied: Stack) -> None:
    applied("apply", "--yes", "-var", "n=2")
    entries = json.loads(applied("history", "--json"))
    assert [e["number"] for e in entries] == [2, 1]
    assert "3 added, 0 changed, 0 destroyed" in applied("history")
    assert "~ input.n = 2 → 1" in applied("rollback", "1", "--yes")
    assert applied("output", "n") == "1\n"


def test_validate_collects_every_problem(stack: Stack) -> None:
    assert stack("validate") == "The spec is valid. Components: 3; native resources: 3.\n"
    assert json.loads(stack("validate", "--json"))["valid"] is True
    (stack.folder / "mlinfra.yaml").write_text(
        SPEC.replace("kind: bucket", "kind: bukket").replace("kind: data, ", "kind: dta, ")
    )
    code, out, err = stack.both("validate")
    assert code == 1 and out == ""
    assert err.endswith("2 errors\n") and "did you mean" in err and "10 |     kind: bukket" in err
    data = json.loads(stack("validate", "--json", code=1))
    assert data["valid"] is False and data["error_count"] == 2
    assert data["diagnostics"][0]["range"]["start"]["line"] == 10


def test_fmt_rewrites_checks_and_shows(stack: Stack) -> None:
    file = stack.folder / "mlinfra.yaml"
    stack("fmt")
    formatted = file.read_text()
    file.write_text(formatted.replace("kind: bucket", "kind:   bucket   "))
    out = stack("fmt", "-check", "-diff", code=1)
    assert out.startswith(f"{file}\n") and "+    kind: bucket\n" in out
    assert stack("fmt") == f"{file}\n"
    assert file.read_text() == formatted
    assert stack("fmt", "--check") == ""


def test_the_graph_has_three_forms(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert '  "one" -> "raw";' in stack("graph")
    assert stack("graph", "--format", "mermaid").startswith("graph RL\n")
    assert json.loads(stack("graph", "--json"))["one"] == ["raw"]
    monkeypatch.setenv("PATH", str(stack.folder))
    assert "needs Graphviz" in stack.both("graph", "--format=svg")[2]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_the_graph(stack: Stack) -> None:
    assert "<svg" in stack("graph", "--format", "svg")


def test_explain_tells_of_kinds_and_of_addresses(stack: Stack) -> None:
    assert "bucket" in stack("explain")
    assert stack("explain", "bucket").startswith("bucket: ")
    assert json.loads(stack("explain", "--json", "bucket"))["outputs"]["uri"] == "string"
    assert "one (data) becomes 1 native resource on local" in stack("explain", "one")
    assert json.loads(stack("explain", "--json", "raw"))["resources"][0]["type"] == "local.bucket"
    assert "did you mean one?" in stack.both("explain", "onee")[2]
    (stack.folder / "mlinfra.yaml").unlink()
    assert "did you mean bucket?" in stack.both("explain", "bukket")[2]


def test_status_and_logs(applied: Stack) -> None:
    assert applied("status").splitlines()[0].split() == ["ADDRESS", "TYPE", "STATE", "DETAIL"]
    code, _, err = applied.both("logs", "raw")
    assert code == 1 and "keeps no log" in err


def test_init_writes_a_spec_that_can_be_applied(stack: Stack, tmp_path: Path) -> None:
    new = Stack(tmp_path / "My Shop 2", stack.capsys)
    assert "Now: mlinfra plan" in new("init")
    assert "project: my-shop-2" in (new.folder / "mlinfra.yaml").read_text()
    assert new("init") == "The spec is valid; its providers are installed: local.\n"
    assert new("fmt", "--check") == ""
    assert "Resources: 1 added" in new("apply", "--yes")
    assert "No changes." in new("plan")


def test_schema_is_printed_or_written(stack: Stack) -> None:
    assert "properties" in json.loads(stack("schema"))
    stack("schema", "--write", str(stack.folder / "schemas"))
    assert list((stack.folder / "schemas").glob("*.json")) != []


def test_providers_are_listed_with_what_they_make(stack: Stack) -> None:
    assert {p["name"] for p in json.loads(stack("providers", "--json"))} >= {"local"}
    assert "    local.bucket\n" in stack("providers", "local")
    assert "there is no provider" in stack.both("providers", "nope")[2]


def test_version_as_data(stack: Stack) -> None:
    from mlinfra import __version__

    assert json.loads(stack("version", "--json"))["mlinfra"] == __version__


def test_cost_says_that_nothing_here_has_a_price(stack: Stack) -> None:
    assert stack("cost") == "Nothing in this stack has a price of its own.\n"
    assert json.loads(stack("cost", "--json")) == {"total": None, "resources": []}
    stack("plan", "--out", str(stack.folder / "x.plan"))
    assert json.loads(stack("cost", str(stack.folder / "x.plan"), "--json"))["total"] is None
