"""Problems as people read them: ``Error: message [code]``, as Terraform begins them, the place, the source line with a caret, what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path as FilePath

from mlinfra.cli.terminal import PLAIN, Style, harmless
from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.values import path_text

_TAB = 4


class Sources:
    """The lines of source files. ``directory`` is what span's file names are relative to; ``texts`` goes before the disk."""

    def __init__(self, directory: FilePath | str = ".", texts: Mapping[str, str] | None = None) -> None:
        self._directory = FilePath(directory)
        if self._directory.is_file():
            self._directory = self._directory.parent
        self._texts = dict(texts or {})
        self._lines: dict[str, list[str]] = {}

    def line(self, file: str, number: int) -> str | None:
        """Line ``number`` (from 1); None when it cannot be read."""
        if file not in self._lines:
            text = self._texts.get(file)
            if text is None:
                try:
                    text = (self._directory / file).read_text("utf-8-sig", errors="replace")
                except (OSError, ValueError):
                    text = ""
            self._lines[file] = text.split("\n")
        lines = self._lines[file]
        return lines[number - 1].rstrip("\r") if 1 <= number <= len(lines) else None

    def place(self, span: Span) -> str:
        """``file:line:column`` as it can be opened from where the command was called."""
        directory = str(self._directory)
        file = span.file if directory == "." or FilePath(span.file).is_absolute() else f"{directory}/{span.file}"
        return harmless(f"{file}:{span.line}:{span.column}")


def diagnostics_text(
    diagnostics: Iterable[Diagnostic], sources: Sources | None = None, *, style: Style = PLAIN, width: int = 80
) -> str:
    """All of them, an empty line between two; ends with a count when there is more than one error."""
    found = list(diagnostics)
    parts = [diagnostic_text(d, sources or Sources(), style=style, width=width) for d in found]
    errors = sum(1 for d in found if d.severity is Severity.ERROR)
    if errors > 1:
        parts.append(style.bold(f"{errors} errors"))
    return "\n\n".join(parts)


def diagnostic_text(d: Diagnostic, sources: Sources, *, style: Style = PLAIN, width: int = 80) -> str:
    """One problem, several lines, no newline at the end."""
    paint = style.alarm if d.severity is Severity.ERROR else style.yellow
    said, *more = harmless(d.message).split("\n")
    head = f"{paint(d.severity.value.capitalize())}: {style.bold(said)} {style.dim(f'[{d.code}]')}"
    lines = [head, *(style.bold(line) for line in more)]
    spans = [s for s in (d.span, *(s for s, _ in d.related)) if s is not None]
    gutter = max((len(str(s.line)) for s in spans), default=1)
    if d.span is not None:
        lines += _snippet(d.span, sources, gutter, paint, style, width)
        owner = _owner(d)
        if owner and d.address and d.address not in d.message:
            lines.append(f"{' ' * gutter} {style.blue('=')} in: {owner}")
    elif _owner(d):
        lines.append(f"{' ' * gutter}{style.blue('-->')} {_owner(d)}")
    for span, remark in d.related:
        lines.append(f"{' ' * gutter} {style.blue('=')} note: {harmless(remark)}")
        lines += _snippet(span, sources, gutter, style.blue, style, width)
    if d.hint:
        head = f"{' ' * gutter} = help: "
        import textwrap

        wrapped = textwrap.wrap(harmless(d.hint), max(30, width - len(head)), break_long_words=False, break_on_hyphens=False)
        for index, piece in enumerate(wrapped):
            start = f"{' ' * gutter} {style.blue('=')} {style.bold('help')}: " if index == 0 else " " * len(head)
            lines.append(start + piece)
    return "\n".join(lines)


def _owner(d: Diagnostic) -> str:
    path = path_text(d.path)
    return harmless(f"{d.address}: {path}" if d.address and path else d.address or path)


def _snippet(span: Span, sources: Sources, gutter: int, paint: Callable[[str], str], style: Style, width: int) -> list[str]:
    lines = [f"{' ' * gutter}{style.blue('-->')} {sources.place(span)}"]
    source = sources.line(span.file, span.line)
    if source is None or not source.strip():
        return lines
    start = min(max(span.column - 1, 0), len(source))
    end = len(source.rstrip()) if span.end_line > span.line else min(span.end_column - 1, len(source))
    end = max(end, start + 1)
    source, start, end = _window(source, start, end, max(20, width - gutter - 4))
    before, marked = (_width(source[:n].expandtabs(_TAB)) for n in (start, end))
    carets = "^" * max(1, marked - before)
    bar = style.blue("|")
    return [
        *lines,
        f"{' ' * gutter} {bar}",
        f"{style.blue(str(span.line).rjust(gutter))} {bar} {harmless(source.expandtabs(_TAB))}",
        f"{' ' * gutter} {bar} {' ' * before}{paint(carets)}",
    ]


def _window(source: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """The part of a line that is too long in which the marked place is seen."""
    source = source.rstrip()
    if len(source) <= room:
        return source, start, end
    left = max(0, min(start - room // 3, len(source) - room))
    head = "…" if left else ""
    cut = head + source[left : left + room - 2]
    shift = len(head) - left
    tail = "…" if left + room - 2 < len(source) else ""
    return cut + tail, start + shift, min(end + shift, len(cut))


def _width(text: str) -> int:
    """How many columns a terminal takes for the text."""
    if text.isascii():
        return len(text)
    wide = sum(1 for c in text if unicodedata.east_asian_width(c) in "WF")
    return len(text) + wide - sum(1 for c in text if unicodedata.combining(c))
