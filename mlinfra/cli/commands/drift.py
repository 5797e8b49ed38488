"""``mlinfra drift``: show what was changed outside of mlinfra."""

from __future__ import annotations

from pathlib import Path

import click

from mlinfra.cli.carry_out import make_plan, show_plan
from mlinfra.cli.formats.write import report_options, write_reports
from mlinfra.cli.render_json import drift_json
from mlinfra.cli.session import Session, common


@click.command("drift")
@common
@report_options
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is drift.")
def command(session: Session, detailed_exitcode: bool, **files: Path | None) -> int:
    """Show what was changed outside of mlinfra since the last apply. Records nothing."""
    from mlinfra import workflow

    options = session.options(mode="refresh_only")
    planned = workflow.plan(options) if session.json else make_plan(session, lambda sink: workflow.plan(options, sink))
    write_reports(planned, **files)
    if session.json:
        session.data({"drift": [drift_json(d) for d in planned.plan.drift]})
    elif planned.plan.drift:
        show_plan(session, planned)
    else:
        session.line("No drift. The world is as it was recorded.")
    return 2 if detailed_exitcode and planned.plan.drift else 0
