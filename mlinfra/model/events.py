"""Progress as data: the only thing that the engine says while it works. The terminal and --json are its readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something a person should know that is no error: a lock taken over, an orphan adopted, a wait for a lock."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshStarted(Event):
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshProgress(Event):
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """``step`` is the step's index in the plan; ``operation`` a plan.Operation value."""

    step: int
    address: str
    type: str
    operation: str
    runs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress(Event):
    """A line that a provider says while a step runs: a log line, a status."""

    step: int
    address: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetry(Event):
    step: int
    address: str
    attempt: int
    wait: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """``unchanged``: apply found that nothing was to be done (early cut-off). ``elapsed`` in seconds."""

    step: int
    address: str
    type: str
    operation: str
    elapsed: float
    id: str = ""
    unchanged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed(Event):
    step: int
    address: str
    type: str
    operation: str
    elapsed: float
    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBlocked(Event):
    """Not tried, because ``cause`` (an address) failed or the run was interrupted (``cause`` empty)."""

    step: int
    address: str
    operation: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyFinished(Event):
    added: int
    changed: int
    destroyed: int
    failed: int
    blocked: int
    unchanged: int
    elapsed: float
    imported: int = 0


Sink: TypeAlias = Callable[[Event], None]
"""Where events go."""


def discard(_: Event) -> None:
    """A sink that drops everything."""
