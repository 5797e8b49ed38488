"""Where a YAML text's block structure lies, line by line, from libyaml's tokens: what ``mlinfra fmt`` lays out anew."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import yaml

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern
from mlinfra.spec.yaml_reader import LOADER

INDENT = 2
_HEADER = pattern(r"[|>](?P<flags>[-+1-9]{0,2})")
_MARKERS = (yaml.DirectiveToken, yaml.DocumentStartToken, yaml.DocumentEndToken)


class Unusual(Exception):
    """A construct that stays as it was written: explicit keys, keys without text."""


@dataclass(frozen=True, slots=True)
class Level:
    """An open block collection: the column that it was written at and the one that it gets. An ``implied`` list has its
    dashes right below the key that it belongs to, and so no start of its own."""

    written: int
    wanted: int
    is_map: bool
    implied: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A dash (``colon`` -1) or a key; ``end`` is the column after the dash or the colon."""

    level: Level
    start: int
    colon: int
    end: int


@dataclass(slots=True)
class Line:
    """A line that tokens begin on. ``levels`` are open at its first token, ``levels_after`` after its last one.
    ``content_end`` is the column after its last token; -1 when a text or a flow collection runs on below."""

    levels: tuple[Level, ...]
    levels_after: tuple[Level, ...]
    entries: list[Entry] = field(default_factory=list)
    content_end: int = 0
    as_written: bool = False
    open_quote: bool = False


@dataclass(frozen=True, slots=True)
class BlockText:
    """The lines of a ``|`` or ``>`` text, ``end`` exclusive, and their indentation as written and as wanted. ``kept``: the
    blank lines at its end belong to it."""

    first: int
    end: int
    written: int
    wanted: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Continuation:
    """A line inside of a flow collection or a text that began on line ``start``; it is indented by at least ``least``.
    The blanks at its end are part of a text when ``open_quote``."""

    start: int
    least: int = 0
    open_quote: bool = False


@dataclass(slots=True)
class Layout:
    """By line number, from 0. ``texts`` by the first line of each."""

    lines: dict[int, Line] = field(default_factory=dict)
    texts: dict[int, BlockText] = field(default_factory=dict)
    continuations: dict[int, Continuation] = field(default_factory=dict)


def layout_of(text: str, source: list[str]) -> Layout:
    """The layout of ``text``, which consists of the lines ``source``. Unusual when it has to stay as it is; YAMLError when it is no
    YAML."""
    reader = _Reader(source)
    for token in yaml.scan(text, Loader=LOADER):
        reader.take(token)
    return reader.layout


class _Reader:
    def __init__(self, source: list[str]) -> None:
        self.layout = Layout()
        self._source = source
        self._stack: list[Level] = []
        self._flow = 0
        self._flow_line = self._flow_seen = 0
        self._key: tuple[int, int] | None = None

    def take(self, token: Any) -> None:
        kind = type(token)
        start, end = token.start_mark, token.end_mark
        if self._flow:
            self._inside_flow(token, kind)
        elif kind is yaml.BlockMappingStartToken or kind is yaml.BlockSequenceStartToken:
            self._push(start.column, is_map=kind is yaml.BlockMappingStartToken)
        elif kind is yaml.BlockEndToken:
            self._end_implied()
            self._stack.pop()
        elif kind is yaml.BlockEntryToken:
            self._dash(start.line, start.column)
        elif kind is yaml.KeyToken:
            if start.index != end.index:
                raise Unusual
            self._end_implied()
            self._line(start.line)
            self._key = (start.line, start.column)
        elif kind is yaml.ValueToken:
            self._colon(start.line, start.column)
        elif kind is yaml.FlowMappingStartToken or kind is yaml.FlowSequenceStartToken:
            self._flow, self._flow_line, self._flow_seen = 1, start.line, start.line
            self._line(start.line).content_end = -1
        elif kind is yaml.ScalarToken:
            self._scalar(token)
        elif kind is not yaml.StreamStartToken and kind is not yaml.StreamEndToken:
            line = self._line(start.line)
            line.content_end = end.column
            line.as_written = line.as_written or isinstance(token, _MARKERS)

    def _push(self, column: int, *, is_map: bool, implied: bool = False) -> None:
        wanted = self._stack[-1].wanted + INDENT if self._stack else 0
        self._stack.append(Level(column, wanted, is_map, implied))

    def _end_implied(self) -> None:
        if self._stack and self._stack[-1].implied:
            self._stack.pop()

    def _line(self, number: int) -> Line:
        stack = tuple(self._stack)
        line = self.layout.lines.setdefault(number, Line(stack, stack))
        line.levels_after = stack
        return line

    def _dash(self, number: int, column: int) -> None:
        if not self._stack:
            raise Unusual
        if self._stack[-1].is_map:
            self._push(column, is_map=False, implied=True)
        self._entry(number, column, -1, column + 1)

    def _colon(self, number: int, column: int) -> None:
        if self._key is None or self._key[0] != number or not self._stack:
            raise Unusual
        self._entry(number, self._key[1], column, column + 1)
        self._key = None

    def _entry(self, number: int, start: int, colon: int, end: int) -> None:
        line = self._line(number)
        if line.as_written or number in self.layout.continuations:
            raise Unusual
        line.entries.append(Entry(self._stack[-1], start, colon, end))
        line.content_end = end

    def _scalar(self, token: Any) -> None:
        start, end = token.start_mark, token.end_mark
        line = self._line(start.line)
        if token.style in ("|", ">"):
            self._block_text(token, line)
        elif start.line == end.line:
            line.content_end = end.column
        else:
            quote = token.style == '"'
            line.content_end, line.open_quote = -1, quote
            least = self._stack[-1].wanted + 1 if self._stack else 0
            for number in range(start.line + 1, end.line + 1):
                self.layout.continuations[number] = Continuation(start.line, least, quote and number < end.line)

    def _block_text(self, token: Any, line: Line) -> None:
        start, end = token.start_mark, token.end_mark
        header = _HEADER.match(self._source[start.line], start.column)
        if header is None:
            raise Unusual
        line.content_end = header.end()
        last = end.line + 1 if end.column else end.line
        kept = "+" in header["flags"]
        if not kept:
            while last > start.line + 1 and (last > len(self._source) or not self._source[last - 1].strip(" ")):
                last -= 1
        first = start.line + 1
        filled = [row for row in self._source[first:last] if row.strip(" ")]
        parent = self._stack[-1] if self._stack else Level(0, 0, is_map=True)
        given = next((int(flag) for flag in header["flags"] if flag.isdigit()), None)
        if given is not None:
            written, wanted = parent.written + given, parent.wanted + given
        else:
            written = len(filled[0]) - len(filled[0].lstrip(" ")) if filled else 0
            wanted = parent.wanted + INDENT
        self.layout.texts[first] = BlockText(first, last, written, wanted, kept)

    def _inside_flow(self, token: Any, kind: type) -> None:
        if kind is yaml.FlowMappingStartToken or kind is yaml.FlowSequenceStartToken:
            self._flow += 1
        elif kind is yaml.FlowMappingEndToken or kind is yaml.FlowSequenceEndToken:
            self._flow -= 1
        start, end = token.start_mark, token.end_mark
        for number in range(self._flow_seen + 1, end.line + 1):
            self.layout.continuations[number] = Continuation(self._flow_line)
        self._flow_seen = max(self._flow_seen, end.line)
        if kind is yaml.ScalarToken and token.style == '"':
            for number in range(start.line, end.line):
                if number == self._flow_line:
                    self.layout.lines[number].open_quote = True
                else:
                    self.layout.continuations[number] = Continuation(self._flow_line, open_quote=True)
        if not self._flow and end.line == self._flow_line:
            self.layout.lines[end.line].content_end = end.column
