"""Collects what is wrong with a spec, each problem once, and finds the place of a fault inside an expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.spec.positions import YamlList, YamlMap

At: TypeAlias = Span | tuple[YamlMap | YamlList, str | int] | None
"""A place: a span, or an entry of a YAML container, whose span is made only when somebody needs it."""


def span_of(at: At) -> Span | None:
    """The span of a place."""
    if not isinstance(at, tuple):
        return at
    node, key = at
    if isinstance(node, YamlMap):
        return node.value_span(str(key))
    return node.value_span(key) if isinstance(key, int) else node.span


class Problems:
    """The same problem at the same place (seen from another instance) counts once.

    ``files`` are the texts of all spec files by name as shown.
    """

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self.files: dict[str, str] = dict(files or {})
        self._lines: dict[str, list[str]] = {}
        self._found: dict[tuple[str, str, Span | None], Diagnostic] = {}

    @property
    def found(self) -> tuple[Diagnostic, ...]:
        """Every problem, by place; those without one first."""
        return tuple(
            sorted(self._found.values(), key=lambda p: (p.span.file, p.span.line, p.span.column) if p.span else ("", 0, 0))
        )

    def __len__(self) -> int:
        return len(self._found)

    def add(
        self,
        code: str,
        message: str,
        at: At = None,
        hint: str = "",
        related: tuple[tuple[Span, str], ...] = (),
        address: str = "",
    ) -> None:
        """Note a problem."""
        self.note(Diagnostic(code=code, message=message, span=span_of(at), hint=hint, related=related, address=address))

    def note(self, problem: Diagnostic) -> None:
        self._found.setdefault((problem.code, problem.message, problem.span), problem)

    def in_expression(self, error: ExpressionError, at: At, source: str) -> None:
        """Note a fault of the expression in ``source``, the value that is written at ``at``."""
        self.add(error.code, error.message, self.inside(at, source, error.offset), error.hint)

    def inside(self, at: At, source: str, offset: int) -> Span | None:
        """The place of the character ``offset`` of ``source`` as written in the file.

        Quoting, folding and indentation change columns: the line that holds the character is searched for where the value
        stands. When it cannot be found, it is the place of the value."""
        span = span_of(at)
        if span is None or span.file not in self.files:
            return span
        if span.file not in self._lines:
            self._lines[span.file] = self.files[span.file].splitlines()
        start = source.rfind("\n", 0, offset) + 1
        end = source.find("\n", offset)
        line = source[start : end if end >= 0 else len(source)]
        stripped = line.strip()
        written = self._lines[span.file][span.line - 1 : max(span.end_line, span.line)]
        for number, candidate in enumerate(written):
            found = candidate.find(stripped, span.column - 1 if number == 0 else 0)
            if stripped and found >= 0:
                column = found + offset - start - (len(line) - len(line.lstrip())) + 1
                return Span(span.file, span.line + number, column, span.line + number, column + 1)
        return span
