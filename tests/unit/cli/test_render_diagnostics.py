"""Problems as people read them."""

from __future__ import annotations

from pathlib import Path

from mlinfra.cli.render_diagnostics import Sources, diagnostic_text, diagnostics_text
from mlinfra.cli.terminal import Style
from mlinfra.model.diagnostic import Diagnostic, Severity, Span

SPEC = {"mlinfra.yaml": "version: 1\nresources:\n  raw:\n    kind: bucket\n    versionning: true\n\tx: 1\n  名前: é\n"}


def shown(d: Diagnostic, width: int = 80, directory: str = ".") -> str:
    return diagnostic_text(d, Sources(directory, SPEC), width=width)


def test_a_problem_shows_its_place_the_line_a_caret_and_what_to_do() -> None:
    d = Diagnostic(
        code="spec.unknown_key",
        message='unknown key "versionning"',
        span=Span("mlinfra.yaml", 5, 5, 5, 16),
        hint='did you mean "versioning"?',
    )
    assert shown(d) == (
        'Error: unknown key "versionning" [spec.unknown_key]\n'
        " --> mlinfra.yaml:5:5\n"
        "  |\n"
        "5 |     versionning: true\n"
        "  |     ^^^^^^^^^^^\n"
        '  = help: did you mean "versioning"?'
    )


def test_a_place_without_an_end_gets_one_caret() -> None:
    assert shown(Diagnostic(code="c", message="m", span=Span("mlinfra.yaml", 3, 3))).endswith("3 |   raw:\n  |   ^")


def test_a_place_of_several_lines_is_marked_to_the_end_of_its_first() -> None:
    assert shown(Diagnostic(code="c", message="m", span=Span("mlinfra.yaml", 4, 5, 6, 1))).endswith("    ^^^^^^^^^^^^")


def test_carets_stand_under_what_they_mark_after_tabs_and_wide_characters() -> None:
    tab = shown(Diagnostic(code="c", message="m", span=Span("mlinfra.yaml", 6, 2, 6, 3))).split("\n")
    assert tab[-2].index("x") == tab[-1].index("^")
    wide = shown(Diagnostic(code="c", message="m", span=Span("mlinfra.yaml", 7, 7, 7, 8))).split("\n")
    # 名前 takes two columns a character, so the caret stands two columns further than the character count says.
    assert wide[-1].index("^") == wide[-2].index("é") + 2


def test_a_long_line_is_cut_around_the_place() -> None:
    sources = Sources(texts={"f": "a" * 300 + "HERE" + "b" * 300})
    text = diagnostic_text(Diagnostic(code="c", message="m", span=Span("f", 1, 301, 1, 305)), sources, width=80)
    line, carets = text.split("\n")[-2:]
    assert len(line) <= 80
    assert line.index("HERE") == carets.index("^")
    assert carets.count("^") == 4


def test_related_places_are_shown_with_their_remark() -> None:
    d = Diagnostic(
        code="spec.duplicate",
        message="again",
        span=Span("mlinfra.yaml", 5, 5),
        related=((Span("mlinfra.yaml", 3, 3), "first here"),),
    )
    text = shown(d)
    assert "= note: first here\n --> mlinfra.yaml:3:3" in text


def test_without_a_place_the_address_and_the_path_are_named() -> None:
    d = Diagnostic(code="c", message="m", address="api.config", path=("variants", "a", 0))
    assert shown(d) == "Error: m [c]\n --> api.config: variants.a[0]"


def test_a_file_that_is_gone_still_gives_its_name() -> None:
    text = diagnostic_text(Diagnostic(code="c", message="m", span=Span("gone.yaml", 9, 1)), Sources())
    assert text == "Error: m [c]\n --> gone.yaml:9:1"


def test_the_place_can_be_opened_from_where_the_command_was_called(tmp_path: Path) -> None:
    (tmp_path / "mlinfra.yaml").write_text("version: one\n")
    text = diagnostic_text(Diagnostic(code="c", message="m", span=Span("mlinfra.yaml", 1, 10, 1, 13)), Sources(tmp_path))
    assert f"--> {tmp_path}/mlinfra.yaml:1:10" in text
    assert text.endswith("1 | version: one\n  |          ^^^")


def test_several_errors_are_counted_and_warnings_are_not() -> None:
    warning = Diagnostic(code="w", message="careful", severity=Severity.WARNING)
    error = Diagnostic(code="e", message="wrong")
    assert diagnostics_text([error, warning, error]) == "Error: wrong [e]\n\nWarning: careful [w]\n\nError: wrong [e]\n\n2 errors"
    assert diagnostics_text([error]) == "Error: wrong [e]"


def test_escape_sequences_in_a_spec_do_not_reach_the_terminal() -> None:
    sources = Sources(texts={"f": "name: \x1b[31mred"})
    d = Diagnostic(code="c", message="bad \x1b]0;title\x07", span=Span("f", 1, 7, 1, 10), hint="\x1b[2J")
    assert "\x1b" not in diagnostic_text(d, sources)


def test_colours_are_only_added_around_the_same_text() -> None:
    d = Diagnostic(code="c", message="m", span=Span("mlinfra.yaml", 3, 3), hint="h")
    colored = diagnostic_text(d, Sources(texts=SPEC), style=Style(True))
    assert "\x1b[1;31m" in colored
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == diagnostic_text(d, Sources(texts=SPEC))
