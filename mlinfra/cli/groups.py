"""Groups of commands: one that imports a command when it is called, and what both say of a command that is not there."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import click


class Family(click.Group):
    """Commands that share a first word."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known:
            raise click.UsageError(_unknown(args[0], known), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each, whole: click cuts it."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(c.help or "")) for name, c in found.items() if c is not None])


class LazyGroup(Family):
    """Commands by name, each in the module of its name, imported when it is called. ``summaries`` is their help, a line each."""

    def __init__(self, package: str, summaries: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._package, self._summaries = package, summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        # ``import`` is a word of Python's own and cannot name a module.
        module = importlib.import_module(f"{self._package}.{cmd_name}" + ("_" if cmd_name == "import" else ""))
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].rstrip(".")


_ELSEWHERE = {
    "workspace": "an environment is what Terraform calls a workspace: --env NAME",
    "console": "mlinfra explain ADDRESS shows what a resource becomes, mlinfra output what the outputs are",
    "get": "modules are fetched when they are needed",
}
"""Terraform's commands that have another name here, or none."""


def _unknown(name: str, known: Iterable[str]) -> str:
    if name in _ELSEWHERE:
        return f"there is no command {name!r}: {_ELSEWHERE[name]}"
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=1)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
