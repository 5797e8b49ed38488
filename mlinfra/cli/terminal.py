"""Where text goes: two streams, whether they take colour, how wide they are. The only place that knows ANSI codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from mlinfra.model.patterns import pattern

_CONTROL = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text without control characters (newline and tab stay): what a spec or a log says must not steer the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) if _CONTROL.search(text) else text


class Style:
    """Colours, or nothing at all. Every method takes text and gives text."""

    __slots__ = ("color",)

    def __init__(self, color: bool = False) -> None:
        self.color = color

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        return self._paint("2", text)

    def red(self, text: str) -> str:
        return self._paint("31", text)

    def green(self, text: str) -> str:
        return self._paint("32", text)

    def yellow(self, text: str) -> str:
        return self._paint("33", text)

    def blue(self, text: str) -> str:
        return self._paint("34", text)

    def cyan(self, text: str) -> str:
        return self._paint("36", text)

    def alarm(self, text: str) -> str:
        return self._paint("1;31", text)


PLAIN = Style(False)


class Terminal:
    """Standard output and error of one command.

    A stream that takes no more (``| head``, a full disk) is silent from then on and stops no work; ``lost`` says why, unless
    a reader simply went away.
    """

    def __init__(self, out: TextIO, err: TextIO, *, color: bool = False, color_err: bool = False, width: int = 80) -> None:
        self.out, self.err, self.width = out, err, width
        self.style, self.error_style = Style(color), Style(color_err)
        self._gone: set[TextIO] = set()
        self.lost = ""

    @classmethod
    def detect(cls, *, no_color: bool = False, environ: Mapping[str, str] = os.environ) -> Terminal:
        """The terminal of this process. ``NO_COLOR``, ``TERM=dumb`` and a stream that is no terminal mean no colour."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        plain = no_color or bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        width = _columns(environ)
        return cls(
            sys.stdout,
            sys.stderr,
            color=not plain and sys.stdout.isatty(),
            color_err=not plain and sys.stderr.isatty(),
            width=max(40, width),
        )

    @property
    def interactive(self) -> bool:
        """Whether a person watches the output and can see a display that changes."""
        return self.out.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def table_width(self) -> int:
        """Where to cut a table's lines; 0, not at all, when a program reads them."""
        return self.width if self.interactive else 0

    def line(self, text: str = "") -> None:
        """Write a line (or several) to standard output, at once."""
        self._write(self.out, text + "\n")

    def line_soon(self, text: str) -> None:
        """Write a line that may wait for :meth:`flush`, or for what is written next: a system call for each of many lines adds up."""
        self._write(self.out, text + "\n", flush=False)

    def flush(self) -> None:
        """Let out what waits."""
        self._write(self.out, "")

    def text(self, text: str) -> None:
        """Write to standard output with nothing added."""
        self._write(self.out, text)

    def note(self, text: str = "") -> None:
        """Write a line (or several) to standard error."""
        self._write(self.err, text + "\n")

    def _write(self, stream: TextIO, text: str, *, flush: bool = True) -> None:
        if stream in self._gone:
            return
        try:
            stream.write(text)
            if flush:
                stream.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error.strerror or "unknown reason"
            self._silence(stream)

    def silence(self) -> None:
        """Write nothing more to standard output."""
        self._silence(self.out)

    def _silence(self, stream: TextIO) -> None:
        self._gone.add(stream)
        # What Python still holds in its buffer would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _columns(environ: Mapping[str, str]) -> int:
    """As ``shutil.get_terminal_size`` finds it; shutil itself brings every sort of compression along."""
    with suppress(ValueError):
        if (given := int(environ.get("COLUMNS", ""))) > 0:
            return given
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ else 80
    except (AttributeError, ValueError, OSError):
        return 80
