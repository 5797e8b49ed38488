"""Progress, one line an event: what the plain display prints and what the JSON stream says as ``@message``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mlinfra import __version__
from mlinfra.cli.formats.terraform_names import TERRAFORM_VERSION, Names, stream_resource
from mlinfra.cli.render_cost import total_json
from mlinfra.cli.render_json import change_json, diagnostic_json, drift_json, dumps, outputs_json, verdict_json
from mlinfra.cli.terminal import harmless
from mlinfra.model import change as reasons
from mlinfra.model.change import Action, Change
from mlinfra.model.diagnostic import Diagnostic, Severity
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
from mlinfra.model.plan import Plan
from mlinfra.model.values import Map

_WORDS = {
    "create": ("Creating", "Creation"),
    "update": ("Modifying", "Modifications"),
    "delete": ("Destroying", "Destruction"),
    "read": ("Reading", "Read"),
    "import": ("Importing", "Import"),
    "forget": ("Forgetting", "Removal from the state"),
    "run": ("Running", "Run"),
}

UI_VERSION = "1.2"
"""Of Terraform's machine-readable user interface, to whose events the stream keeps."""
_STREAM_ACTIONS = {Action.NOOP: "noop", Action.FORGET: "remove", Action.IMPORT: "import"}
_STREAM_REASONS = {reasons.BY_REQUEST: "requested", reasons.HALF_MADE: "tainted", reasons.TRIGGERED: "replace_triggered_by"}


def doing(operation: str) -> str:
    """``Creating`` for ``create``."""
    return _WORDS.get(operation, (operation.capitalize(), ""))[0]


def _done(operation: str) -> str:
    return _WORDS.get(operation, ("", operation.capitalize()))[1]


def seconds_text(elapsed: float) -> str:
    """``12s``, ``1m5s``, ``2h3m``."""
    whole = int(elapsed)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60}m"


def still_running(address: str, operation: str, elapsed: float) -> str:
    """The line of a step that takes long."""
    return f"{address}: Still {doing(operation).lower()}... [{seconds_text(elapsed)} elapsed]"


def closing_line(summary: ApplyFinished, *, verb: str = "apply", interrupted: bool = False) -> str:
    """The line that tools read: ``Apply complete! Resources: 4 added, 1 changed, 0 destroyed.``

    ``verb``: apply, destroy, refresh, rollback or import, each of which ends in its own words.
    """
    imported = f"{summary.imported} imported, " if summary.imported else ""
    counts = f"Resources: {imported}{summary.added} added, {summary.changed} changed, {summary.destroyed} destroyed"
    if summary.failed or summary.blocked or interrupted:
        how = "interrupted" if interrupted else "incomplete"
        return f"Apply {how}. {counts}; {summary.failed} failed, {summary.blocked} not tried."
    if verb == "destroy":
        return f"Destroy complete! Resources: {summary.destroyed} destroyed."
    if verb == "import":
        return "Import complete! It is mlinfra's from now on; mlinfra plan shows what would still change."
    if verb == "refresh":
        return "Refresh complete! The state says what the world is."
    return f"Apply complete! {counts}."


def event_text(event: Event, operation: str = "") -> str | None:
    """The event on one line; None when a person need not see it. ``operation`` replaces the event's own (``run``)."""
    if isinstance(event, StepStarted):
        return harmless(f"{event.address}: {doing(operation or event.operation)}...")
    if isinstance(event, StepFinished):
        after = f"after {seconds_text(event.elapsed)}"
        if event.unchanged:
            return harmless(f"{event.address}: Nothing to do {after}: its inputs turned out unchanged")
        id = f" [id={event.id}]" if event.id else ""
        return harmless(f"{event.address}: {_done(operation or event.operation)} complete {after}{id}")
    if isinstance(event, Notice):
        return harmless(event.message)
    if isinstance(event, RefreshStarted):
        return f"Refreshing {event.total:,} resource{'s' if event.total != 1 else ''}..." if event.total else None
    if isinstance(event, StepProgress):
        return harmless(f"{event.address}: {event.message}")
    if isinstance(event, StepRetry):
        return harmless(f"{event.address}: Attempt {event.attempt} failed ({event.reason}); again in {event.wait:.1f}s")
    if isinstance(event, StepFailed):
        what = _done(operation or event.operation)
        first = event.diagnostic.message.partition("\n")[0].rstrip(":")
        return harmless(f"{event.address}: {what} failed after {seconds_text(event.elapsed)}: {first}")
    if isinstance(event, StepBlocked):
        return harmless(
            f"{event.address}: Not tried, because {event.cause or 'the run was interrupted'}{' failed' * bool(event.cause)}"
        )
    return None


class JsonStream:
    """Terraform's event stream: one JSON object a line, with ``@level``, ``@message``, ``@timestamp`` and ``type``. Types of our own
    (``refresh_progress``, ``apply_retry``, ``apply_blocked``, ``policy``) stand beside Terraform's; what its events have no
    place for stands under ``mlinfra``."""

    def __init__(
        self,
        write: Callable[[str], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        names: Names | None = None,
    ) -> None:
        self._write, self._now, self._names = write, now, names or Names()
        self._running: dict[int, tuple[StepStarted, datetime]] = {}

    def emit(self, type: str, message: str, *, level: str = "info", **payload: Any) -> None:
        """Write one event."""
        head = {
            "@level": level,
            "@message": message,
            "@module": "mlinfra.ui",
            "@timestamp": self._now().isoformat(),
            "type": type,
        }
        self._write(dumps({**head, **payload}, indent=None) + "\n")

    def version(self) -> None:
        """The first line of a stream: which Terraform's format it keeps to."""
        self.emit("version", f"mlinfra {__version__}", mlinfra=__version__, terraform=TERRAFORM_VERSION, ui=UI_VERSION)

    def event(self, event: Event) -> None:
        """A sink for the engine's events."""
        message = event_text(event) or ""
        if isinstance(event, Notice):
            self.emit("log", message)
        elif isinstance(event, RefreshStarted):
            self.emit("refresh_progress", message or "Nothing to refresh", done=0, total=event.total)
        elif isinstance(event, RefreshProgress):
            self.emit("refresh_progress", f"{event.done}/{event.total} refreshed", done=event.done, total=event.total)
        elif isinstance(event, StepStarted):
            self._running[event.step] = event, self._now()
            self.emit("apply_start", message, hook={**self._hook(event), "runs": event.runs})
        elif isinstance(event, StepProgress):
            self.emit("apply_progress", message, hook={**self._since(event), "message": event.message})
        elif isinstance(event, StepRetry):
            hook = {**self._since(event), "attempt": event.attempt, "wait_seconds": event.wait}
            self.emit("apply_retry", message, level="warn", hook={**hook, "reason": event.reason})
        elif isinstance(event, StepFinished):
            self._running.pop(event.step, None)
            hook = {**self._hook(event), "id_key": "id", "id_value": event.id, "elapsed_seconds": event.elapsed}
            self.emit("apply_complete", message, hook={**hook, "unchanged": event.unchanged})
        elif isinstance(event, StepFailed):
            self._running.pop(event.step, None)
            self.emit("apply_errored", message, level="error", hook={**self._hook(event), "elapsed_seconds": event.elapsed})
        elif isinstance(event, StepBlocked):
            hook = {"resource": {"addr": event.address}, "action": event.operation, "cause": event.cause}
            self.emit("apply_blocked", message, level="warn", hook=hook)

    def _hook(self, event: StepStarted | StepFinished | StepFailed) -> dict[str, Any]:
        return {"resource": stream_resource(self._names, event.address, event.type), "action": event.operation}

    def _since(self, event: StepProgress | StepRetry) -> dict[str, Any]:
        """The hook of a step under way; what is known of it when nobody saw it start."""
        if event.step not in self._running:
            return {"resource": {"addr": event.address}}
        started, at = self._running[event.step]
        return {**self._hook(started), "elapsed_seconds": round((self._now() - at).total_seconds(), 1)}

    def plan(self, plan: Plan, closing: str) -> None:
        """What a plan holds: drift, changes, policies, warnings, the summary."""
        for drift in plan.drift:
            resource = stream_resource(self._names, drift.address, drift.type)
            seen = {"resource": resource, "action": "delete" if drift.gone else "update", "mlinfra": drift_json(drift)}
            self.emit("resource_drift", f"{drift.address}: Changed outside of mlinfra", change=seen)
        for change in plan.changes:
            if change.action is not Action.NOOP or change.moved_from:
                self.emit("planned_change", f"{change.address}: Plan to {change.action.value}", change=self._planned(change))
        for verdict in plan.verdicts:
            level = "error" if verdict.refuses else "warn"
            about = f"{verdict.address}: " if verdict.address else ""
            self.emit("policy", f"{about}{verdict.message} ({verdict.policy})", level=level, policy=verdict_json(verdict))
        self.diagnostics(plan.warnings)
        counts = plan.counts()
        changes = {"add": counts["add"], "change": counts["change"], "import": counts["import"], "remove": counts["destroy"]}
        self.emit("change_summary", closing, changes={**changes, "operation": "plan"}, cost=total_json(plan.cost()))

    def _planned(self, change: Change) -> dict[str, Any]:
        data: dict[str, Any] = {"resource": stream_resource(self._names, change.address, change.type)}
        if change.moved_from:
            data["previous_resource"] = stream_resource(self._names, change.moved_from, change.type)
        data["action"] = _STREAM_ACTIONS.get(change.action, change.action.value)
        if change.action is Action.NOOP and change.moved_from:
            data["action"] = "move"
        if change.action is Action.REPLACE:
            data["reason"] = _STREAM_REASONS.get(change.reason, "cannot_update")
        elif change.reason == reasons.NOT_IN_SPEC:
            data["reason"] = "delete_because_no_resource_config"
        if change.import_id:
            data["importing"] = {"id": change.import_id}
        return {**data, "mlinfra": change_json(change)}

    def finished(self, summary: ApplyFinished, message: str, *, operation: str = "apply") -> None:
        """The summary of an apply."""
        changes = {"add": summary.added, "change": summary.changed, "import": summary.imported, "remove": summary.destroyed}
        self.emit(
            "change_summary",
            message,
            changes={**changes, "failed": summary.failed, "blocked": summary.blocked, "operation": operation},
        )

    def outputs(self, outputs: Map, sensitive: tuple[str, ...] = ()) -> None:
        self.emit("outputs", f"Outputs: {len(outputs)}", outputs=outputs_json(outputs, sensitive))

    def diagnostics(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        for d in diagnostics:
            level = "error" if d.severity is Severity.ERROR else "warn"
            self.emit("diagnostic", f"{d.severity.value.capitalize()}: {d.message}", level=level, diagnostic=diagnostic_json(d))
