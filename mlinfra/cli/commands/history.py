"""``mlinfra history``: the past applies."""

from __future__ import annotations

from datetime import datetime

import click

from mlinfra.cli.session import Session, common
from mlinfra.cli.tables import table
from mlinfra.cli.terminal import harmless


@click.command("history")
@common
def command(session: Session) -> int:
    """List the past applies, newest first; mlinfra rollback NUMBER goes back to one."""
    from mlinfra import upkeep

    entries = sorted(upkeep.history(session.options()), key=lambda e: e.number, reverse=True)
    if session.json:
        names = ("number", "time", "operation", "summary", "serial", "environment", "spec_digest", "owner")
        return session.data(
            [
                {
                    **{name: getattr(e, name) for name in names},
                    "overrides": [{"policy": policy, "reason": reason} for policy, reason in e.overrides],
                }
                for e in entries
            ]
        )
    if not entries:
        session.line("Nothing has been applied yet.")
        return 0
    t = session.terminal
    rows = [(str(e.number), _time(e.time), e.operation, e.summary, e.owner.partition(" (")[0]) for e in entries]
    heads = ("number", "time", "operation", "summary", "by")
    session.line(table(heads, rows, style=t.style, width=t.table_width))
    borne = [(e.number, policy, reason) for e in entries for policy, reason in e.overrides]
    if borne:
        session.line(f"\n{t.style.bold('Policies overridden:')}")
        for number, policy, reason in borne:
            session.line(harmless(f"  {number}  {policy}: {reason}"))
    return 0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
