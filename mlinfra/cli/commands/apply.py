"""``mlinfra apply``: make the world match the spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlinfra.cli.approval import need_approval
from mlinfra.cli.carry_out import begin, carry_out, plan_and_carry_out
from mlinfra.cli.session import Session, apply_options, common, engine_options


@click.command("apply")
@common
@engine_options
@apply_options
@click.option("--destroy", is_flag=True, help="Destroy everything, as mlinfra destroy does.")
@click.option("--refresh-only", is_flag=True, help="Only record the world as it is.")
@click.argument("planfile", required=False, type=click.Path(path_type=Path, dir_okay=False))
def command(
    session: Session, planfile: Path | None, yes: bool, destroy: bool, refresh_only: bool, no_refresh: bool, **engine: Any
) -> int:
    """Make the world match the spec, or perform a saved plan.

    Shows the plan and asks, unless --yes is given. A saved PLANFILE has been looked at already: it is performed at once,
    or refused when something that it depends on has moved since.
    """
    from mlinfra import workflow

    if destroy and refresh_only:
        raise click.UsageError("--destroy and --refresh-only exclude each other")
    if planfile is not None:
        refused = [n for n, given in (("--destroy", destroy), ("--refresh-only", refresh_only)) if given]
        refused += [n for n, given in (("--target", session.targets), ("--exclude", session.excludes)) if given]
        refused += ["--replace"] if engine["replace"] else []
        if refused:
            raise click.UsageError(f"{refused[0]} cannot change a saved plan; give it to mlinfra plan")
        options = session.options(waits=True, **engine)
        begin(session)
        from mlinfra import upkeep

        return carry_out(session, options, workflow.bearing(upkeep.load_plan(options, planfile), options), yes=True)
    need_approval(yes=yes, json=session.json, what="apply")
    mode = "destroy" if destroy else "refresh_only" if refresh_only else "normal"
    options = session.options(mode=mode, refresh=not no_refresh, waits=True, **engine)
    verb = {"normal": "apply", "refresh_only": "refresh"}.get(mode, mode)
    return plan_and_carry_out(session, options, lambda sink: workflow.plan(options, sink), yes=yes, verb=verb)
