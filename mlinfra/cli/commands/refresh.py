"""``mlinfra refresh``: record the world as it is."""

from __future__ import annotations

from typing import Any

import click

from mlinfra.cli.carry_out import plan_and_carry_out
from mlinfra.cli.session import Session, common, lock_timeout


@click.command("refresh")
@common
@lock_timeout
def command(session: Session, **engine: Any) -> int:
    """Look at the world and record what was changed outside of mlinfra. Changes nothing but the state."""
    from mlinfra import workflow

    options = session.options(mode="refresh_only", waits=True, **engine)
    return plan_and_carry_out(session, options, lambda sink: workflow.plan(options, sink), yes=True, verb="refresh")
