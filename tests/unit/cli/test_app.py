"""From words to an exit code: usage errors, errors of the engine, bugs, interruptions."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import click
import pytest

from mlinfra import revisions, upkeep, workflow
from mlinfra.cli import app as app_module
from mlinfra.cli.app import COMMANDS, app, run
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.errors import MlinfraError, PlanStale, PolicyRefused, SpecError, StateLocked

Capture = pytest.CaptureFixture[str]
LOADED = (revisions, upkeep)
"""They take ``plan`` from workflow by name: loaded while it is replaced they would keep the replacement for every later test."""


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def plan(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(workflow, "plan", plan)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_the_options_that_stand_everywhere(name: str, capsys: Capture) -> None:
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: mlinfra {name}")
    command = app.get_command(click.Context(app), name)
    assert command is not None
    leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        options = {option for parameter in leaf.params for option in parameter.opts}
        assert {"-C", "--env", "--var", "--var-file", "--target", "--exclude", "--json", "--no-color", "--debug"} <= options


def test_without_a_command_the_commands_are_listed(capsys: Capture) -> None:
    assert run([]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["aply"], "there is no command 'aply'; did you mean 'apply'?"),
        (["state", "lst"], "there is no command 'lst'; did you mean 'list'?"),
        (["plan", "--otu", "x"], "--otu"),
        (["plan", "--var", "novalue"], "--var takes NAME=VALUE"),
        (["plan", "--lock-timeout", "soon"], "is no duration"),
        (["plan", "--destroy", "--refresh-only"], "exclude each other"),
        (["output", "--raw"], "--raw needs the NAME"),
        (["logs"], "Missing argument"),
    ],
)
def test_a_mistake_in_the_call_is_one_line_and_exit_1(words: list[str], message: str, capsys: Capture) -> None:
    assert run(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and "[cli.usage]" in error.splitlines()[0] and message in error


@pytest.mark.parametrize(
    ("error", "code"),
    [(SpecError, 1), (PolicyRefused, 3), (StateLocked, 4), (PlanStale, 5)],
)
def test_errors_of_the_engine_are_shown_with_their_exit_code(
    error: type[MlinfraError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "mlinfra.yaml").write_text("version: one\n")
    raising(monkeypatch, error(Diagnostic(code="x.y", message="no", span=Span("mlinfra.yaml", 1, 10, 1, 13), hint="do it")))
    assert run(["plan", "-C", str(tmp_path)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Error: no [x.y]" in captured.err and "1 | version: one" in captured.err


def test_errors_are_data_when_json_was_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, SpecError(Diagnostic(code="x.y", message="no")))
    assert run(["plan", "-json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["diagnostics"] == [{"severity": "error", "code": "x.y", "summary": "no"}]
    assert captured.err == ""


def test_a_bug_is_one_clear_line_without_what_the_exception_says(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    raising(monkeypatch, ValueError("the s3cr3t is out"))
    assert run(["plan"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: this is a bug in mlinfra: ValueError at test_app.py:")
    assert "Traceback" not in error and "s3cr3t" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["--debug", "MLINFRA_DEBUG"])
def test_a_traceback_goes_to_a_file_when_asked_for(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    raising(monkeypatch, ValueError("why"))
    words = ["plan", how] if how.startswith("-") else ["plan"]
    if not how.startswith("-"):
        monkeypatch.setenv(how, "1")
    assert run(words) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert "ValueError: why" in (tmp_path / app_module.DEBUG_LOG).read_text()


def test_a_file_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, FileNotFoundError(2, "No such file or directory", "/nowhere/p.plan"))
    assert run(["plan"]) == 1
    assert capsys.readouterr().err == "Error: /nowhere/p.plan: No such file or directory [cli.file]\n"


def test_a_full_disk_is_said_and_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    assert run(["plan"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: a file could not be written: No space left on device [cli.file]\n") and "make room" in error


def test_ctrl_c_is_exit_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert run(["plan"]) == 130
    assert capsys.readouterr().err.strip() == "Error: interrupted [cli.interrupted]"


@pytest.mark.parametrize("command", ["apply", "destroy", "rollback"])
def test_nothing_is_changed_unasked(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    raising(monkeypatch, AssertionError("planned although nobody can approve"))
    monkeypatch.setattr("sys.stdin", open("/dev/null", encoding="utf-8"))  # noqa: PTH123, SIM115 - closed with the test
    assert run([command]) == 1
    assert "standard input is no terminal" in capsys.readouterr().err
    assert run([command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["diagnostics"][0]["code"] == "cli.no_approval"


def test_a_family_of_commands_without_a_command_shows_its_help(capsys: Capture) -> None:
    assert run(["state"]) == 0
    assert "  unlock" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_is_lost_is_an_error_and_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert run(["version", "--json"]) == 1
    assert capsys.readouterr().err.startswith("Error: standard output could not be written to: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(shell: str, capsys: Capture) -> None:
    assert run(["completion", shell]) == 0
    assert "_MLINFRA_COMPLETE" in capsys.readouterr().out


def test_completion_completes_commands(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("_MLINFRA_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "mlinfra des")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out.strip() == "plain,destroy"
