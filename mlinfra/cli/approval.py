"""Asking a person before the world is changed."""

from __future__ import annotations

import sys

from mlinfra.cli.terminal import Terminal
from mlinfra.model.errors import MlinfraError


def need_approval(*, yes: bool, json: bool, what: str) -> None:
    """Refuse early when nobody could be asked: MlinfraError ``cli.no_approval``."""
    if yes:
        return
    if json:
        raise MlinfraError.of(
            "cli.no_approval", f"{what} --json cannot ask for approval", hint="give --yes, or apply a saved plan"
        )
    if not sys.stdin.isatty():
        message = f"{what} asks for approval, and standard input is no terminal"
        raise MlinfraError.of("cli.no_approval", message, hint="give --yes, or apply a saved plan: mlinfra plan --out FILE")


def approved(terminal: Terminal, question: str) -> bool:
    """Ask; only ``yes`` is yes. The end of the input is no."""
    terminal.line()
    terminal.line(terminal.style.bold(question))
    terminal.line("  Only 'yes' will be accepted.")
    terminal.line()
    terminal.text(terminal.style.bold("  Enter a value: "))
    return sys.stdin.readline().strip() == "yes"
