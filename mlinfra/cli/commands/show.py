"""``mlinfra show``: the state, a saved plan, or one resource."""

from __future__ import annotations

from pathlib import Path

import click

from mlinfra.cli.commands.state import find
from mlinfra.cli.render_json import plan_json, resource_json, state_json
from mlinfra.cli.render_plan import plan_text
from mlinfra.cli.render_state import resource_text, state_text
from mlinfra.cli.session import Session, common


@click.command("show")
@common
@click.argument("what", required=False, metavar="[PLANFILE|ADDRESS]")
def command(session: Session, what: str | None) -> int:
    """Show the recorded state, a saved plan, or one recorded resource."""
    from mlinfra import upkeep

    options = session.options()
    t = session.terminal
    if what is not None and Path(what).is_file():
        plan = upkeep.load_plan(options, Path(what)).plan
        if session.json:
            return session.data(plan_json(plan))
        session.line(plan_text(plan, style=t.style, width=t.width, sources=session.sources))
        return 0
    state = upkeep.read_state(options)
    if what is None:
        if session.json:
            return session.data(state_json(state))
        session.line(state_text(state, style=t.style, width=t.width))
        return 0
    found = find(state, what)
    if session.json:
        return session.data([resource_json(r) for r in found])
    session.line("\n\n".join(resource_text(r, style=t.style, width=t.width) for r in found))
    return 0
