"""``mlinfra destroy``: destroy everything that the spec made."""

from __future__ import annotations

from typing import Any

import click

from mlinfra.cli.approval import need_approval
from mlinfra.cli.carry_out import plan_and_carry_out
from mlinfra.cli.session import Session, apply_options, common, engine_options


@click.command("destroy")
@common
@engine_options
@apply_options
def command(session: Session, yes: bool, no_refresh: bool, **engine: Any) -> int:
    """Destroy everything that the spec made (or what --target selects). Shows what goes and asks, unless --yes is given."""
    from mlinfra import workflow

    need_approval(yes=yes, json=session.json, what="destroy")
    options = session.options(mode="destroy", refresh=not no_refresh, waits=True, **engine)
    return plan_and_carry_out(session, options, lambda sink: workflow.plan(options, sink), yes=yes, verb="destroy")
