"""``mlinfra rollback``: go back to an earlier apply."""

from __future__ import annotations

from typing import Any

import click

from mlinfra.cli.approval import need_approval
from mlinfra.cli.carry_out import carry_out, make_plan
from mlinfra.cli.session import Session, apply_options, common, engine_options


@click.command("rollback")
@common
@engine_options
@apply_options
@click.argument("number", required=False, type=click.IntRange(min=1))
def command(session: Session, number: int | None, yes: bool, no_refresh: bool, **engine: Any) -> int:
    """Make the world match the spec of the apply NUMBER (the one before the last, when none is given); see mlinfra history.

    The spec's files stay as they are: the next apply follows them again.
    """
    from mlinfra import upkeep

    need_approval(yes=yes, json=session.json, what="rollback")
    options = session.options(refresh=not no_refresh, waits=True, **engine)
    planned = make_plan(session, lambda sink: upkeep.rollback_plan(options, number, sink))
    return carry_out(session, options, planned, yes=yes, verb="rollback")
