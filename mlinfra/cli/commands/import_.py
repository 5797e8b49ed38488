"""``mlinfra import``: take over a thing that exists."""

from __future__ import annotations

from typing import Any

import click

from mlinfra.cli.carry_out import report
from mlinfra.cli.render_events import JsonStream
from mlinfra.cli.render_progress import progress
from mlinfra.cli.session import Session, common, lock_timeout, override_option


@click.command("import")
@common
@lock_timeout
@override_option
@click.argument("address")
@click.argument("id")
def command(session: Session, address: str, id: str, **engine: Any) -> int:
    """Take over the existing thing ID as the resource at ADDRESS, whose block must stand in the spec."""
    from mlinfra import workflow

    options = session.options(waits=True, **engine)
    if session.json:
        return report(
            session, workflow.import_resource(options, address, id, JsonStream(session.terminal.text).event), verb="import"
        )
    with progress(session.terminal) as sink:
        applied = workflow.import_resource(options, address, id, sink)
    return report(session, applied, verb="import")
