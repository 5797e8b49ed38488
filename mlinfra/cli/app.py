"""The command ``mlinfra``: finds the command that is called, and turns whatever goes wrong into words and an exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import click

from mlinfra.cli.arguments import Arguments, normalise
from mlinfra.cli.groups import LazyGroup
from mlinfra.cli.render_diagnostics import Sources, diagnostics_text
from mlinfra.cli.render_json import FORMAT_VERSION, diagnostic_json, dumps
from mlinfra.cli.terminal import Terminal
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError
from mlinfra.model.own_files import DEBUG_LOG
from mlinfra.model.redaction import redact

COMMANDS = {
    "init": "Write a starter spec, or check that this one's providers are there",
    "validate": "Check the spec without touching anything",
    "fmt": "Write the spec's files in one style",
    "plan": "Show what apply would change",
    "apply": "Make the world match the spec",
    "destroy": "Destroy everything that the spec made",
    "refresh": "Record the world as it is",
    "drift": "Show what was changed outside of mlinfra",
    "show": "Show the state, or a saved plan",
    "output": "Show the spec's outputs",
    "status": "Show how every resource is doing",
    "logs": "Show a resource's log",
    "graph": "Show what depends on what",
    "cost": "Show what the stack costs a month, now and after apply",
    "explain": "Explain a kind's fields, or what a resource becomes",
    "diff": "Show what a change of the spec means, between two git revisions",
    "ci": "Write the pipeline files of GitHub, GitLab or Jenkins",
    "state": "Look at the recorded state and mend it",
    "import": "Take over a thing that exists",
    "history": "List the past applies",
    "rollback": "Go back to an earlier apply",
    "schema": "Give the spec's JSON Schema, for editors",
    "providers": "List the installed providers and what they make",
    "completion": "Print a shell's completion script",
    "version": "Print the version",
}


app = LazyGroup(
    "mlinfra.cli.commands",
    COMMANDS,
    name="mlinfra",
    help="Declarative infrastructure for machine learning: one spec, one plan, one apply.",
    epilog="Terraform's spellings (-auto-approve, -out=FILE, -var k=v, -chdir=DIR, ...) work too.",
    context_settings={"max_content_width": 100},
)


_FULL = (errno.ENOSPC, errno.EDQUOT)
_ROOM = "what was done so far is recorded; make room and run it again"


def run(argv: Sequence[str]) -> int:
    """Run one command line; the exit code. Whatever happens, a person sees words, never a traceback."""
    if "_MLINFRA_COMPLETE" in os.environ:
        return int(app.main(list(argv), prog_name="mlinfra", complete_var="_MLINFRA_COMPLETE", standalone_mode=False) or 0)
    arguments = normalise(argv)
    terminal = Terminal.detect(no_color=arguments.no_color)
    code = _call(arguments, terminal)
    if terminal.lost:
        terminal.note(f"Error: standard output could not be written to: {terminal.lost} [cli.output_lost]")
        return code or 1
    return code


def _call(arguments: Arguments, terminal: Terminal) -> int:
    debug = arguments.debug or bool(os.environ.get("MLINFRA_DEBUG"))
    words = list(arguments.words) or ["--help"]
    if words[0] == "--version":
        words[0] = "version"
    try:
        return int(app.main(words, prog_name="mlinfra", standalone_mode=False, obj=terminal) or 0)
    except MlinfraError as error:
        _debug(debug)
        return _report(terminal, arguments, error.diagnostics, error.exit_code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "mlinfra"
        problem = Diagnostic(code="cli.usage", message=error.format_message(), hint=f"see: {path} --help")
        return _report(terminal, arguments, (problem,), 1)
    except click.ClickException as error:
        return _report(terminal, arguments, (Diagnostic(code="cli.usage", message=error.format_message()),), 1)
    except (KeyboardInterrupt, click.Abort):
        _debug(debug)
        return _report(terminal, arguments, (Diagnostic(code="cli.interrupted", message="interrupted"),), 130)
    except BrokenPipeError:
        # click's own writing of a help text; ours goes through the terminal, which bears it.
        terminal.silence()
        return 1
    except OSError as error:
        written = _debug(debug)
        if error.filename is None and error.errno in _FULL:  # a write to what was opened before has no name
            problem = Diagnostic(code="cli.file", message=f"a file could not be written: {error.strerror}", hint=_ROOM)
            return _report(terminal, arguments, (problem,), 1)
        if error.filename is None or error.strerror is None:
            return _report(terminal, arguments, (_bug(error, written),), 1)
        return _report(terminal, arguments, (Diagnostic(code="cli.file", message=f"{error.filename}: {error.strerror}"),), 1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: what comes here is our own mistake
        return _report(terminal, arguments, (_bug(error, _debug(debug)),), 1)


def _report(terminal: Terminal, arguments: Arguments, diagnostics: Sequence[Diagnostic], code: int) -> int:
    if arguments.json:
        data = {"format_version": FORMAT_VERSION, "type": "error", "diagnostics": [diagnostic_json(d) for d in diagnostics]}
        # One line: it may end a stream of events.
        terminal.line(dumps(data, indent=None))
    else:
        sources = Sources(arguments.directory)
        terminal.note(diagnostics_text(diagnostics, sources, style=terminal.error_style, width=terminal.width))
    return code


def _bug(error: Exception, written: str) -> Diagnostic:
    import traceback

    # The exception's own words are left out: they may quote a value that is secret.
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
    hint = f"the traceback is in {written}" if written else f"run it again with --debug and report it with {DEBUG_LOG}"
    return Diagnostic(code="cli.bug", message=f"this is a bug in mlinfra: {type(error).__name__}{where}", hint=hint)


def _debug(wanted: bool) -> str:
    """Write the traceback of the exception that is being handled; the file's name, or "" when it was not written."""
    if not wanted:
        return ""
    import traceback

    try:
        with Path(DEBUG_LOG).open("w", encoding="utf-8") as file:
            file.write(redact(traceback.format_exc()))
    except OSError:
        return ""
    return DEBUG_LOG
