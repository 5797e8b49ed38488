"""Streams, colour, and readers that go away."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest

from mlinfra.cli.interruption import FIRST, SECOND, notice, stopping
from mlinfra.cli.terminal import Style, Terminal, harmless


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Stop:
    level = 0

    def request(self) -> None:
        self.level += 1


@pytest.mark.parametrize(
    ("environ", "no_color", "colored"),
    [
        ({}, False, True),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({}, True, False),
    ],
)
def test_colour_is_for_terminals_of_people_who_want_it(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], no_color: bool, colored: bool
) -> None:
    monkeypatch.setattr("sys.stdout", Tty())
    monkeypatch.setattr("sys.stderr", io.StringIO())
    terminal = Terminal.detect(no_color=no_color, environ=environ)
    assert terminal.style.color is colored
    assert terminal.error_style.color is False


def test_a_style_without_colour_leaves_text_alone() -> None:
    assert Style(False).alarm("x") == "x"
    assert Style(True).red("x") == "\x1b[31mx\x1b[0m"
    assert Style(True).red("") == ""


def test_control_characters_are_replaced_and_newlines_stay() -> None:
    assert harmless("a\x1b[1m\r\x9b\u202eb\n\tc") == "a\ufffd[1m\ufffd\ufffd\ufffdb\n\tc"


def test_a_reader_that_went_away_stops_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        errors = io.StringIO()
        terminal = Terminal(stream, errors)
        terminal.line("x" * 100_000)
        terminal.line("more")
        terminal.note("still here")
        assert errors.getvalue() == "still here\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_finish_and_the_second_to_cancel(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    stop = Stop()
    before = signal.getsignal(number)
    assert notice(stop) == ""
    with stopping(stop, speak=True):
        os.kill(os.getpid(), number)
        assert (stop.level, notice(stop)) == (1, FIRST)
        os.kill(os.getpid(), number)
        assert (stop.level, notice(stop)) == (2, SECOND)
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == f"\n{FIRST}\n\n{SECOND}\n"


def test_an_ascii_terminal_gets_escapes_instead_of_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        Terminal.detect(environ={}).line("a → b")
    assert (tmp_path / "out").read_text() == "a \\u2192 b\n"
