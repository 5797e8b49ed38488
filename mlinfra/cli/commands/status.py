"""``mlinfra status``: how every resource is doing."""

from __future__ import annotations

import click

from mlinfra.cli.session import Session, common
from mlinfra.cli.tables import table


@click.command("status")
@common
def command(session: Session) -> int:
    """Look at every recorded resource in the world: ok, drifted, gone, tainted, deposed or unreadable."""
    from mlinfra import upkeep

    rows = upkeep.status(session.options())
    if session.json:
        return session.data(
            [{"address": r.address, "type": r.type, "id": r.id, "state": r.state, "detail": r.detail} for r in rows]
        )
    if not rows:
        session.line("Nothing has been applied yet.")
        return 0
    t = session.terminal
    cells = [(r.address, r.type, r.state, r.detail) for r in rows]
    text = table(("address", "type", "state", "detail"), cells, style=t.style, width=t.table_width)
    if t.style.color:
        head, *lines = text.split("\n")
        text = "\n".join(
            [head, *(line if r.state == "ok" else t.style.yellow(line) for r, line in zip(rows, lines, strict=True))]
        )
    session.line(text)
    return 0
