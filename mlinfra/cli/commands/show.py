"""``mlinfra show``: the state, a saved plan, or one resource."""

from __future__ import annotations

from pathlib import Path

import click

from mlinfra.cli.commands.state import find
from mlinfra.cli.formats.write import plan_document, report_options, write_reports
from mlinfra.cli.render_json import resource_json, state_json
from mlinfra.cli.render_plan import plan_text
from mlinfra.cli.render_state import resource_text, state_text
from mlinfra.cli.session import Session, common


@click.command("show")
@common
@report_options
@click.argument("what", required=False, metavar="[PLANFILE|ADDRESS]")
def command(session: Session, what: str | None, **files: Path | None) -> int:
    """Show the recorded state, a saved plan, or one recorded resource. A plan can be written to files in every format too."""
    from mlinfra import upkeep

    options = session.options()
    t = session.terminal
    if what is not None and Path(what).is_file():
        planned = upkeep.shown_plan(Path(what))
        write_reports(planned, **files)
        if session.json:
            session.terminal.text(plan_document(planned))
        else:
            session.line(plan_text(planned.plan, style=t.style, width=t.width, sources=session.sources))
        return 0
    if any(files.values()):
        raise click.UsageError("--json-into, --markdown and --html show a saved plan: mlinfra show PLANFILE")
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
