"""What a person sees while the engine works: a display that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mlinfra.cli.render_events import doing, event_text, seconds_text, still_running
from mlinfra.cli.terminal import Style, Terminal, harmless
from mlinfra.model.dataclass import dataclass
from mlinfra.model.events import (
    Event,
    RefreshProgress,
    RefreshStarted,
    StepBlocked,
    StepFailed,
    StepFinished,
    StepProgress,
    StepRetry,
    StepStarted,
)

_REMIND = 10.0
"""Seconds between two reminders that a step still runs, where nothing moves."""
_LATEST = 0.1
"""Seconds that a line may wait for others, which one system call then writes."""
_BLOCKED_SHOWN = 10


@dataclass(slots=True)
class _Running:
    address: str
    operation: str
    since: float
    reminded: float
    message: str = ""


class Progress:
    """Reads events, from any thread. ``say`` gets every line that stays; ``running`` is what is in flight, by step."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        style: Style,
        starts: bool = True,
        total: int = 0,
        clock: Callable[[], float] = time.monotonic,
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        """``starts``: whether a step's start and its progress get lines of their own; ``total`` steps are expected; ``flush`` lets out
        what ``say`` keeps back."""
        self._say, self._style, self._starts, self._clock, self._flush = say, style, starts, clock, flush
        self._lock = threading.RLock()
        self._runs: set[int] = set()
        self._blocked = 0
        self.running: dict[int, _Running] = {}
        self.total, self.done, self.refreshed = total, 0, ""

    def sink(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, RefreshProgress):
            self.refreshed = f"Refreshing {event.done:,} of {event.total:,}" if event.done < event.total else ""
            return
        operation = ""
        if isinstance(event, StepStarted) and event.runs and event.operation in ("create", "update"):
            self._runs.add(event.step)
        if isinstance(event, (StepStarted, StepFinished, StepFailed)):
            operation = "run" if event.step in self._runs else event.operation
        line = event_text(event, operation)
        if isinstance(event, RefreshStarted):
            if not self._starts:
                self.refreshed, line = line or "", None
        elif isinstance(event, StepStarted):
            now = self._clock()
            self.running[event.step] = _Running(event.address, operation, now, now)
            line = line if self._starts else None
        elif isinstance(event, (StepProgress, StepRetry)):
            step = self.running.get(event.step)
            if step is not None and line:
                step.message = line.removeprefix(harmless(step.address) + ": ")
            # The words of the user's own code stay to be read; a provider's status is only of the moment.
            line = line if self._starts or event.step in self._runs or isinstance(event, StepRetry) else None
        elif isinstance(event, (StepFinished, StepFailed)):
            self.running.pop(event.step, None)
            self.done += 1
        elif isinstance(event, StepBlocked):
            self._blocked += 1
            if self._blocked > _BLOCKED_SHOWN:
                line = None
        if line:
            self._say(self._painted(event, line))

    def _painted(self, event: Event, line: str) -> str:
        if not self._style.color:
            return line
        if isinstance(event, StepFailed):
            return self._style.red(line)
        if isinstance(event, (StepBlocked, StepRetry)):
            return self._style.yellow(line)
        if isinstance(event, StepFinished):
            address, _, rest = line.partition(": ")
            return f"{self._style.bold(address)}: {rest}"
        return self._style.dim(line) if isinstance(event, StepProgress) else line

    def remind(self) -> None:
        """Say of every step that has been quiet for long that it still runs, and let out what was said."""
        with self._lock:
            now = self._clock()
            for step in self.running.values():
                if now - step.reminded >= _REMIND:
                    step.reminded = now
                    self._say(harmless(still_running(step.address, step.operation, now - step.since)))
            self._flush()

    def finish(self) -> None:
        """Say what was left out."""
        if self._blocked > _BLOCKED_SHOWN:
            self._say(self._style.yellow(f"... and {self._blocked - _BLOCKED_SHOWN:,} more were not tried"))

    def display(self, width: int, height: int, notice: str = "") -> list[str]:
        """The moving part, as lines that fit: what runs, for how long, its last words; then how far everything is."""
        with self._lock:
            now = self._clock()
            steps = sorted(self.running.values(), key=lambda s: s.since)
            lines = []
            for step in steps[: max(1, height - 3)]:
                head = f"  {step.address}: {doing(step.operation)}... {seconds_text(now - step.since)}"
                text = harmless(f"{head}  {step.message}" if step.message else head)
                lines.append(text if len(text) < width else text[: width - 2] + "…")
            if len(steps) > max(1, height - 3):
                lines.append(f"  ... and {len(steps) - max(1, height - 3)} more")
            if self.total and steps:
                lines.append(f"  {self.done:,} of {self.total:,} done")
            elif self.refreshed:
                lines.append(f"  {self.refreshed}")
            return [*lines, *([notice] if notice else [])]


@contextmanager
def progress(terminal: Terminal, *, total: int = 0, notice: Callable[[], str] = lambda: "") -> Iterator[Callable[[Event], None]]:
    """A sink for events, shown on ``terminal`` while the block runs. ``notice`` is a line to keep in sight, if there is one."""
    if terminal.interactive:
        with _live(terminal, total, notice) as sink:
            yield sink
        return
    shown = Progress(terminal.line_soon, style=terminal.style, total=total, flush=terminal.flush)
    ended = threading.Event()

    def remind() -> None:
        while not ended.wait(_LATEST):
            shown.remind()

    thread = threading.Thread(target=remind, name="mlinfra-progress", daemon=True)
    thread.start()
    try:
        yield shown.sink
    finally:
        ended.set()
        thread.join()
        shown.finish()
        terminal.flush()


@contextmanager
def _live(terminal: Terminal, total: int, notice: Callable[[], str]) -> Iterator[Callable[[Event], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=terminal.out, no_color=not terminal.style.color, highlight=False, soft_wrap=True)
    shown = Progress(lambda line: console.print(Text.from_ansi(line)), style=terminal.style, starts=False, total=total)

    def renderable() -> Any:
        lines = shown.display(console.width, console.height, notice())
        return Text("\n".join(lines), style="dim" if terminal.style.color else "", no_wrap=True)

    with Live(console=console, get_renderable=renderable, refresh_per_second=8, transient=True):
        yield shown.sink
        shown.finish()
