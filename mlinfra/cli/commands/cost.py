"""``mlinfra cost``: what the stack costs a month, now and after apply."""

from __future__ import annotations

from pathlib import Path

import click

from mlinfra.cli.carry_out import make_plan
from mlinfra.cli.render_cost import costs_json, costs_text
from mlinfra.cli.session import Session, common


@click.command("cost")
@common
@click.argument("planfile", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--refresh", is_flag=True, help="Look at the world first; without it, the recorded state counts.")
def command(session: Session, planfile: Path | None, refresh: bool) -> int:
    """Show what every resource costs a month, now and after apply (or by a saved PLANFILE), with the prices' source and date.

    Works offline: prices come with the providers. Changes nothing."""
    from mlinfra import upkeep, workflow

    if planfile is not None:
        plan = upkeep.load_plan(session.options(), planfile).plan
    elif session.json:  # one document, no stream of events
        plan = workflow.plan(session.options(refresh=refresh)).plan
    else:
        options = session.options(refresh=refresh)
        plan = make_plan(session, lambda sink: workflow.plan(options, sink)).plan
    if session.json:
        return session.data(costs_json(plan))
    t = session.terminal
    session.line(costs_text(plan, style=t.style, width=t.table_width))
    return 0
