"""One call of a command: its options, its terminal. Commands take a :class:`Session` first and return an exit code."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlinfra.cli.render_diagnostics import Sources, diagnostics_text
from mlinfra.cli.render_json import dumps
from mlinfra.cli.terminal import Terminal
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic

if TYPE_CHECKING:
    from mlinfra.workspace import Options

Command = Callable[..., int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What every command knows. ``json``: answer in JSON on standard output."""

    terminal: Terminal
    directory: Path = Path()
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    json: bool = False

    def options(self, **more: Any) -> Options:
        """These options, and a command's own, for the workflow."""
        from mlinfra.workspace import Options

        return Options(
            directory=self.directory,
            environment=self.environment,
            variables=self.variables,
            var_files=self.var_files,
            environ=os.environ,
            targets=self.targets,
            excludes=self.excludes,
            **more,
        )

    @property
    def sources(self) -> Sources:
        return Sources(self.directory)

    def line(self, text: str = "") -> None:
        self.terminal.line(text)

    def data(self, data: Any) -> int:
        """Answer with one JSON document; success."""
        self.terminal.line(dumps(data))
        return 0

    def warn(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """Show problems that stop nothing, on standard error."""
        if diagnostics:
            t = self.terminal
            t.note(diagnostics_text(diagnostics, self.sources, style=t.error_style, width=t.width))


def common(function: Command) -> Command:
    """Give a command the options that stand everywhere, and hand them to it as a Session."""

    @functools.wraps(function)
    def command(**given: Any) -> int:
        session = Session(
            terminal=click.get_current_context().obj,
            directory=given.pop("directory"),
            environment=given.pop("environment") or "",
            variables=dict(_variable(text) for text in given.pop("variables")),
            var_files=given.pop("var_files"),
            targets=given.pop("targets"),
            excludes=given.pop("excludes"),
            json=given.pop("json"),
        )
        for seen_before in ("no_color", "debug"):
            given.pop(seen_before)
        return function(session, **given)

    path = click.Path(path_type=Path)
    for option in reversed(
        [
            click.option("-C", "directory", metavar="DIR", type=path, default=Path(), help="The spec's folder (or file)."),
            click.option("--env", "environment", metavar="NAME", envvar="MLINFRA_ENV", help="The environment; also MLINFRA_ENV."),
            click.option("--var", "variables", metavar="NAME=VALUE", multiple=True, help="A variable's value."),
            click.option(
                "--var-file", "var_files", metavar="FILE", type=path, multiple=True, help="A file of variables' values."
            ),
            click.option("--target", "targets", metavar="ADDRESS", multiple=True, help="Only this, and what it needs."),
            click.option("--exclude", "excludes", metavar="ADDRESS", multiple=True, help="Not this, nor what needs it."),
            click.option("--json", is_flag=True, help="Answer in JSON."),
            click.option("--no-color", is_flag=True, help="No colours; also NO_COLOR."),
            click.option("--debug", is_flag=True, help="Write an error's traceback to mlinfra-debug.log."),
        ]
    ):
        command = option(command)
    return command


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--var takes NAME=VALUE, not {name or text!r}")
    return name, value


def lock_timeout(function: Command) -> Command:
    """The option of every command that takes the state's lock."""
    return click.option(
        "--lock-timeout",
        callback=_seconds,
        metavar="DURATION",
        help="Wait so long for the state's lock; without it, until it is known whether its holder lives.",
    )(function)


def _seconds(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """``30s``, ``2m``, or a bare number of seconds; None when it is not given."""
    if text is None:
        return None
    from mlinfra.kinds.units import parse_seconds

    try:
        return float(text) if text.replace(".", "", 1).isdigit() else parse_seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _overrides(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, _equals, reason = text.partition("=")
        if not reason.strip():
            raise click.BadParameter(f'an override needs its reason: {name}="why this once"')
        found[name.strip()] = reason.strip()
    return found


override_option = click.option(
    "--override-policy",
    "overrides",
    metavar="NAME=REASON",
    multiple=True,
    callback=_overrides,
    help="Bear what this policy refuses, for a reason that history keeps.",
)


def engine_options(function: Command) -> Command:
    """The options of every command that plans and applies."""
    for option in (
        override_option,
        click.option("--allow-data-loss", is_flag=True, help="Destroy or replace data in a protected environment."),
        click.option("--replace", metavar="ADDRESS", multiple=True, help="Replace this, though it need not be."),
        click.option("--no-refresh", is_flag=True, help="Trust the recorded state; do not look at the world."),
        lock_timeout,
    ):
        function = option(function)
    return function


def apply_options(function: Command) -> Command:
    """The options of every command that changes the world."""
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask for approval."),
        click.option("--parallelism", type=click.IntRange(min=1), metavar="N", help="At most N operations at once."),
    ):
        function = option(function)
    return function
