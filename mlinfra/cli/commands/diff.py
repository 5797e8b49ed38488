"""``mlinfra diff``: what a change of the spec means, between two git revisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlinfra.cli.carry_out import make_plan, show_plan
from mlinfra.cli.formats.write import plan_document, report_options, write_reports
from mlinfra.cli.session import Session, common
from mlinfra.model.errors import PolicyRefused
from mlinfra.model.events import Sink, discard

if TYPE_CHECKING:
    from mlinfra.workflow import Planned


@click.command("diff")
@common
@report_options
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when something differs.")
@click.argument("revisions", metavar="BASE..HEAD")
def command(session: Session, revisions: str, detailed_exitcode: bool, **files: Path | None) -> int:
    """Show what a change of the spec means: the plan at HEAD, without what BASE would do anyway.

    Both are held against the recorded state; the world is not looked at and no cloud's credentials are needed. BASE...HEAD begins
    where the two parted; BASE alone ends with the files as they are."""
    from mlinfra import revisions as git

    options = session.options()
    found: list[git.Difference] = []

    def make(sink: Sink) -> Planned:
        found.append(git.spec_difference(options, revisions, sink))
        return found[0].planned

    if session.json:
        planned = make(discard)
        session.terminal.text(plan_document(planned))
    else:
        planned = make_plan(session, make)
        session.line(session.terminal.style.bold(f"From {found[0].base} to {found[0].head}, by what is recorded:\n"))
        show_plan(session, planned)
        for what, addresses in (
            ("to be done at the base already", found[0].pending),
            ("not to be done any more", found[0].dropped),
        ):
            if addresses:
                shown = ", ".join(addresses[:8]) + (f" and {len(addresses) - 8} more" if len(addresses) > 8 else "")
                session.line(f"\n{what.capitalize()}, and not shown: {shown}")
    write_reports(planned, **files)
    if planned.plan.refused:
        return PolicyRefused.exit_code
    return 2 if detailed_exitcode and not planned.plan.is_empty else 0
