"""``mlinfra plan``: show what apply would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from mlinfra.cli.carry_out import make_plan, show_plan
from mlinfra.cli.formats.write import report_options, write_reports
from mlinfra.cli.session import Session, common, engine_options
from mlinfra.model.errors import PolicyRefused

Mode = Literal["normal", "destroy", "refresh_only"]


@click.command("plan")
@common
@engine_options
@click.option("--destroy", is_flag=True, help="Plan to destroy everything.")
@click.option("--refresh-only", is_flag=True, help="Only look at what was changed outside of mlinfra.")
@click.option("--server-check", is_flag=True, help="Ask the clouds whether they would take the changes (dry runs).")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan, for: mlinfra apply FILE"
)
@report_options
def command(
    session: Session,
    destroy: bool,
    refresh_only: bool,
    server_check: bool,
    detailed_exitcode: bool,
    out: Path | None,
    json_into: Path | None,
    markdown: Path | None,
    html: Path | None,
    no_refresh: bool,
    **engine: Any,
) -> int:
    """Show what apply would change, attribute by attribute, and what it puts at risk. Changes nothing.

    Exit codes: 0 done, 1 error, 2 there are changes (only with --detailed-exitcode),
    3 a policy refuses them.
    """
    from mlinfra import workflow

    if destroy and refresh_only:
        raise click.UsageError("--destroy and --refresh-only exclude each other")
    if server_check and (destroy or refresh_only):
        raise click.UsageError(
            "--server-check looks at what is made and changed: a plan to destroy or to refresh has nothing of it"
        )
    mode: Mode = "destroy" if destroy else "refresh_only" if refresh_only else "normal"
    options = session.options(mode=mode, refresh=not no_refresh, server_check=server_check, **engine)
    planned = make_plan(session, lambda sink: workflow.plan(options, sink))
    show_plan(session, planned)
    write_reports(planned, json_into=json_into, markdown=markdown, html=html)
    if out is not None:
        from mlinfra import upkeep

        upkeep.save_plan(options, planned, out)
        if planned.plan.refused and not session.json:
            session.line(f"\nSaved the plan to {out}. It cannot be applied while a policy refuses it.")
        elif not session.json:
            session.line(f"\nSaved the plan to {out}. To perform exactly these actions: mlinfra apply {out}")
    if planned.plan.refused:
        return PolicyRefused.exit_code
    changed = not planned.plan.is_empty or (refresh_only and bool(planned.plan.drift))
    return 2 if detailed_exitcode and changed else 0
