"""From a plan to a changed world: show it, ask, apply it, report. Shared by every command that changes something."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mlinfra.cli import interruption, render_events
from mlinfra.cli.approval import approved
from mlinfra.cli.render_diagnostics import diagnostics_text
from mlinfra.cli.render_events import JsonStream
from mlinfra.cli.render_plan import closing_line, plan_text
from mlinfra.cli.render_progress import progress
from mlinfra.cli.render_state import outputs_text
from mlinfra.cli.session import Session
from mlinfra.cli.terminal import PLAIN
from mlinfra.model.errors import PlanStale, PolicyRefused
from mlinfra.model.events import Event, Notice, Sink

if TYPE_CHECKING:
    from mlinfra.workflow import Applied, Planned
    from mlinfra.workspace import Options


def begin(session: Session) -> None:
    """The first line of a stream of events."""
    if session.json:
        JsonStream(session.terminal.text).version()


def make_plan(session: Session, make: Callable[[Sink], Planned]) -> Planned:
    """Call ``make`` with a sink that shows the refresh; nothing of that stays on a terminal."""
    if session.json:
        stream = JsonStream(session.terminal.text)
        begun: list[Event] = []

        def tell(event: Event) -> None:  # a spec that cannot be used is answered with one error and no stream
            if not begun:
                stream.version()
            begun.append(event)
            stream.event(event)

        planned = make(tell)
        if not begun:
            stream.version()
        return planned
    if session.terminal.interactive:
        with progress(session.terminal) as sink:
            return make(sink)

    def note(event: Event) -> None:
        text = render_events.event_text(event)
        if text:
            session.terminal.note(text)

    return make(note)


def show_plan(session: Session, planned: Planned) -> None:
    """The plan on standard output, as text or as events."""
    t, plan = session.terminal, planned.plan
    if session.json:
        JsonStream(t.text).plan(plan, closing_line(plan, PLAIN).rpartition("\n")[2])
    else:
        resources = planned.stack.resources if planned.stack is not None else None
        t.line(plan_text(plan, style=t.style, width=t.width, sources=session.sources, resources=resources))


_ATTEMPTS = 5
"""How often one command plans anew because others were at work on the state meanwhile."""


def plan_and_carry_out(
    session: Session, options: Options, make: Callable[[Sink], Planned], *, yes: bool, verb: str = "apply"
) -> int:
    """Plan, show, ask, apply, report; the exit code. ``verb``: apply, destroy, refresh.

    Where others moved the state on while this command waited for its lock, it plans anew, and asks anew: nobody has approved
    what is out of date, and nobody needs to run the command again."""
    left = _ATTEMPTS
    while True:
        planned = make_plan(session, make)
        try:
            return carry_out(session, options, planned, yes=yes, verb=verb)
        except PlanStale:
            left -= 1
            if not left:
                raise
            _notice(session, "others changed the state meanwhile: planning again")


def _notice(session: Session, message: str) -> None:
    if session.json:
        JsonStream(session.terminal.text).event(Notice(message=message))
    else:
        session.terminal.note(f"\n{message}\n")


def carry_out(session: Session, options: Options, planned: Planned, *, yes: bool, verb: str = "apply") -> int:
    """Show, ask, apply, report; the exit code. PlanStale when the state has moved since."""
    show_plan(session, planned)
    if planned.plan.refused:
        if not session.json:
            session.terminal.note("\nRefused by policy: nothing was changed.")
        return PolicyRefused.exit_code
    question = {
        "destroy": "Do you really want to destroy all of this? There is no undo.",
        "refresh": "Do you want to record this as the new state?",
    }.get(verb, "Do you want to perform these actions?")
    if not yes and not planned.plan.is_empty and not approved(session.terminal, question):
        session.line(f"{verb.capitalize()} cancelled.")
        return 1
    return report(session, perform(session, options, planned), verb=verb)


def perform(session: Session, options: Options, planned: Planned) -> Applied:
    """Apply, with progress shown and Ctrl-C heeded."""
    from mlinfra import workflow
    from mlinfra.apply.stop import Stop

    stop = Stop()
    t = session.terminal
    if session.json:
        with interruption.stopping(stop, speak=True):
            return workflow.apply(options, planned, JsonStream(t.text).event, stop)
    total = len(planned.plan.steps)
    if total:
        t.line()
    with (
        interruption.stopping(stop, speak=not t.interactive),
        progress(t, total=total, notice=lambda: interruption.notice(stop)) as sink,
    ):
        return workflow.apply(options, planned, sink, stop)


def report(session: Session, applied: Applied, *, verb: str = "apply") -> int:
    """What came of it: failures, the closing line, the outputs; the exit code. ``verb`` as for :func:`carry_out`."""
    t = session.terminal
    destroy = verb == "destroy"
    closing = render_events.closing_line(applied.summary, verb=verb, interrupted=applied.interrupted)
    whole = not applied.failures and not applied.interrupted
    sensitive = applied.state.sensitive_outputs
    if session.json:
        stream = JsonStream(t.text)
        stream.diagnostics(applied.failures)
        stream.finished(applied.summary, closing, operation=verb)
        if whole and not destroy:
            stream.outputs(applied.outputs, sensitive)
    else:
        if applied.failures:
            t.note("\n" + diagnostics_text(applied.failures, session.sources, style=t.error_style, width=t.width))
        t.line()
        t.line(t.style.bold(t.style.green(closing) if whole else t.style.yellow(closing)))
        if not whole:
            t.line("Everything done so far is recorded; run apply again to go on.")
        elif applied.outputs and not destroy:
            t.line(f"\n{t.style.bold('Outputs:')}\n\n{outputs_text(applied.outputs, sensitive, width=t.width)}")
    if applied.interrupted:
        return 130
    return 1 if applied.failures else 0
