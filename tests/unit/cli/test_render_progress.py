"""What is seen while the engine works, and the lines that stay."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mlinfra.cli.render_events import JsonStream, closing_line, event_text, seconds_text
from mlinfra.cli.render_progress import Progress, progress
from mlinfra.cli.terminal import PLAIN, Terminal
from mlinfra.model.change import Action, Change, Drift
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.events import (
    ApplyFinished,
    Event,
    Notice,
    RefreshProgress,
    RefreshStarted,
    StepBlocked,
    StepFailed,
    StepFinished,
    StepProgress,
    StepRetry,
    StepStarted,
)
from mlinfra.model.plan import Operation, Plan, Step
from mlinfra.model.values import Secret, freeze


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def started(step: int, address: str, operation: str = "create", *, runs: bool = False) -> StepStarted:
    return StepStarted(step=step, address=address, type="local.x", operation=operation, runs=runs)


def finished(
    step: int, address: str, operation: str = "create", *, elapsed: float = 0.2, id: str = "", unchanged: bool = False
) -> Event:
    return StepFinished(
        step=step, address=address, type="local.x", operation=operation, elapsed=elapsed, id=id, unchanged=unchanged
    )


@pytest.fixture
def lines() -> list[str]:
    return []


def reader(lines: list[str], *, starts: bool = True, clock: Callable[[], float] | None = None) -> Progress:
    return Progress(lines.append, style=PLAIN, starts=starts, clock=clock or Clock(), total=3)


def test_every_operation_has_its_words(lines: list[str]) -> None:
    shown = reader(lines)
    for index, operation in enumerate(["create", "update", "delete", "read", "import", "forget"]):
        shown.sink(started(index, "raw", operation))
        shown.sink(finished(index, "raw", operation, id="raw" if operation == "create" else ""))
    assert lines == [
        "raw: Creating...",
        "raw: Creation complete after 0s [id=raw]",
        "raw: Modifying...",
        "raw: Modifications complete after 0s",
        "raw: Destroying...",
        "raw: Destruction complete after 0s",
        "raw: Reading...",
        "raw: Read complete after 0s",
        "raw: Importing...",
        "raw: Import complete after 0s",
        "raw: Forgetting...",
        "raw: Removal from the state complete after 0s",
    ]


def test_a_run_is_called_a_run_and_its_log_lines_carry_its_address(lines: list[str]) -> None:
    shown = reader(lines)
    shown.sink(started(0, "fit", "update", runs=True))
    shown.sink(StepProgress(step=0, address="fit", message="epoch 1"))
    shown.sink(finished(0, "fit", "update", elapsed=65))
    assert lines == ["fit: Running...", "fit: epoch 1", "fit: Run complete after 1m5s"]


def test_a_step_that_takes_long_is_mentioned_every_ten_seconds(lines: list[str]) -> None:
    clock = Clock()
    shown = reader(lines, clock=clock)
    shown.sink(started(0, "fit", runs=True))
    for clock.now in (4.0, 10.0, 14.0, 20.5):
        shown.remind()
    shown.sink(finished(0, "fit"))
    clock.now = 40.0
    shown.remind()
    assert lines[1:3] == ["fit: Still running... [10s elapsed]", "fit: Still running... [20s elapsed]"]
    assert len(lines) == 4


def test_failures_retries_and_what_was_not_tried_are_said(lines: list[str]) -> None:
    shown = reader(lines)
    shown.sink(started(0, "a"))
    shown.sink(StepRetry(step=0, address="a", attempt=1, wait=0.5, reason="throttled"))
    shown.sink(
        StepFailed(
            step=0, address="a", type="t", operation="create", elapsed=3, diagnostic=Diagnostic(code="c", message="no room")
        )
    )
    shown.sink(StepBlocked(step=1, address="b", operation="create", cause="a"))
    shown.sink(StepBlocked(step=2, address="c", operation="create", cause=""))
    assert lines[1:] == [
        "a: Attempt 1 failed (throttled); again in 0.5s",
        "a: Creation failed after 3s: no room",
        "b: Not tried, because a failed",
        "c: Not tried, because the run was interrupted",
    ]


def test_a_thousand_blocked_steps_are_counted_not_listed(lines: list[str]) -> None:
    shown = reader(lines)
    for index in range(1000):
        shown.sink(StepBlocked(step=index, address=f"d{index}", operation="create", cause="a"))
    shown.finish()
    assert len(lines) == 11
    assert lines[-1] == "... and 990 more were not tried"


def test_early_cut_off_is_said() -> None:
    assert event_text(finished(0, "fit", unchanged=True)) == "fit: Nothing to do after 0s: its inputs turned out unchanged"


def test_a_moving_display_shows_what_runs_for_how_long_and_its_last_words(lines: list[str]) -> None:
    clock = Clock()
    shown = reader(lines, starts=False, clock=clock)
    shown.sink(started(0, "raw"))
    shown.sink(started(1, "fit", runs=True))
    clock.now = 7.0
    shown.sink(StepProgress(step=0, address="raw", message="12 of 40 files"))
    shown.sink(StepProgress(step=1, address="fit", message="epoch 3 " + "x" * 200))
    assert lines == [f"fit: epoch 3 {'x' * 200}"]
    display = shown.display(80, 24, "Finishing.")
    assert display[0] == "  raw: Creating... 7s  12 of 40 files"
    assert display[1].startswith("  fit: Running... 7s  epoch 3 xxx") and len(display[1]) < 80
    assert display[2:] == ["  0 of 3 done", "Finishing."]
    shown.sink(finished(0, "raw"))
    assert [line.split(":")[0].strip() for line in shown.display(80, 24)] == ["fit", "1 of 3 done"]


def test_a_moving_display_never_outgrows_the_terminal(lines: list[str]) -> None:
    shown = reader(lines, starts=False)
    for index in range(100):
        shown.sink(started(index, f"d{index}"))
    display = shown.display(80, 10)
    assert len(display) <= 10
    assert display[-2] == "  ... and 93 more"


def test_a_refresh_is_counted_while_it_lasts(lines: list[str]) -> None:
    shown = reader(lines, starts=False)
    shown.sink(RefreshStarted(total=20))
    shown.sink(RefreshProgress(done=7, total=20))
    assert shown.display(80, 24) == ["  Refreshing 7 of 20"]
    shown.sink(RefreshProgress(done=20, total=20))
    assert shown.display(80, 24) == []
    assert lines == []


def test_without_a_terminal_events_become_plain_lines() -> None:
    out = io.StringIO()
    with progress(Terminal(out, io.StringIO())) as sink:
        sink(started(0, "raw"))
        sink(finished(0, "raw", id="raw"))
    assert out.getvalue() == "raw: Creating...\nraw: Creation complete after 0s [id=raw]\n"


def test_escape_sequences_in_a_log_do_not_reach_the_terminal(lines: list[str]) -> None:
    shown = reader(lines)
    shown.sink(started(0, "fit", runs=True))
    shown.sink(StepProgress(step=0, address="fit", message="\x1b[2Jgone"))
    assert "\x1b" not in lines[-1]


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "0s"), (59.9, "59s"), (65, "1m5s"), (3600, "1h0m"), (7384, "2h3m")])
def test_durations_are_short(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_the_closing_line_is_terraform_s_when_all_went_well_and_honest_when_not() -> None:
    fine = ApplyFinished(added=4, changed=1, destroyed=0, failed=0, blocked=0, unchanged=0, elapsed=1)
    assert closing_line(fine) == "Apply complete! Resources: 4 added, 1 changed, 0 destroyed."
    taken = ApplyFinished(added=0, changed=0, destroyed=0, failed=0, blocked=0, unchanged=0, elapsed=1, imported=2)
    assert closing_line(taken) == "Apply complete! Resources: 2 imported, 0 added, 0 changed, 0 destroyed."
    gone = ApplyFinished(added=0, changed=0, destroyed=3, failed=0, blocked=0, unchanged=0, elapsed=1)
    assert closing_line(gone, verb="destroy") == "Destroy complete! Resources: 3 destroyed."
    broken = ApplyFinished(added=1, changed=0, destroyed=0, failed=1, blocked=2, unchanged=0, elapsed=1)
    assert closing_line(broken) == "Apply incomplete. Resources: 1 added, 0 changed, 0 destroyed; 1 failed, 2 not tried."
    stopped = ApplyFinished(added=1, changed=0, destroyed=0, failed=0, blocked=2, unchanged=0, elapsed=1)
    assert closing_line(stopped, interrupted=True).startswith("Apply interrupted.")


def test_json_events_are_one_object_a_line_with_level_message_time_and_type() -> None:
    written: list[str] = []
    stream = JsonStream(written.append, now=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    stream.event(Notice(message="took over the lock"))
    stream.event(started(0, "raw"))
    stream.event(finished(0, "raw", id="raw"))
    stream.event(
        StepFailed(step=1, address="b", type="t", operation="update", elapsed=1, diagnostic=Diagnostic(code="c", message="no"))
    )
    stream.event(StepBlocked(step=2, address="c", operation="create", cause="b"))
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in written)
    events = [json.loads(line) for line in written]
    assert [e["type"] for e in events] == ["log", "apply_start", "apply_complete", "apply_errored", "apply_blocked"]
    assert [e["@level"] for e in events] == ["info", "info", "info", "error", "warn"]
    assert events[2] == {
        "@level": "info",
        "@message": "raw: Creation complete after 0s [id=raw]",
        "@module": "mlinfra.ui",
        "@timestamp": "2026-01-02T00:00:00+00:00",
        "type": "apply_complete",
        "hook": {
            "resource": {
                "addr": "raw",
                "module": "",
                "resource": "local_x.raw",
                "implied_provider": "local",
                "resource_type": "local_x",
                "resource_name": "raw",
                "resource_key": None,
            },
            "action": "create",
            "id_key": "id",
            "id_value": "raw",
            "elapsed_seconds": 0.2,
            "unchanged": False,
        },
    }


def test_a_plan_as_events_ends_with_its_summary_and_keeps_secrets() -> None:
    written: list[str] = []
    change = Change(action=Action.CREATE, address="raw", type="t", provider="local", after=freeze({"k": Secret("s3cr3t")}))
    plan = Plan(
        changes=(change, Change(action=Action.NOOP, address="same", type="t", provider="local")),
        steps=(Step(operation=Operation.CREATE, change=0),),
        drift=(Drift(address="gone", type="t", gone=True),),
    )
    JsonStream(written.append).plan(plan, "Plan: 1 to add, 0 to change, 0 to destroy.")
    events = [json.loads(line) for line in written]
    assert [e["type"] for e in events] == ["resource_drift", "planned_change", "change_summary"]
    assert events[-1]["changes"] == {"add": 1, "change": 0, "import": 0, "remove": 0, "operation": "plan"}
    assert events[-1]["@message"] == "Plan: 1 to add, 0 to change, 0 to destroy."
    assert "s3cr3t" not in "".join(written)
