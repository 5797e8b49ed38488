"""``mlinfra logs``: a resource's log."""

from __future__ import annotations

import click

from mlinfra.cli.render_json import dumps
from mlinfra.cli.session import Session, common
from mlinfra.cli.terminal import harmless


@click.command("logs")
@common
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.argument("address")
def command(session: Session, address: str, follow: bool) -> int:
    """Show the log of the resource at ADDRESS, oldest line first."""
    from mlinfra import upkeep

    try:
        for line in upkeep.logs(session.options(), address, follow):
            session.line(dumps({"address": address, "line": line}, indent=None) if session.json else harmless(line))
    except KeyboardInterrupt:
        # The only way to end --follow.
        return 0 if follow else 130
    return 0
