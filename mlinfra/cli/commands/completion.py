"""``mlinfra completion``: a shell's completion script."""

from __future__ import annotations

import click

from mlinfra.cli.session import Session, common


@click.command("completion")
@common
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(session: Session, shell: str) -> int:
    """Print the completion script for SHELL; put into ~/.bashrc:  eval "$(mlinfra completion bash)" """
    from click.shell_completion import get_completion_class

    from mlinfra.cli.app import app

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    session.line(found(app, {}, "mlinfra", "_MLINFRA_COMPLETE").source())
    return 0
