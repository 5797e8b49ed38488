"""``mlinfra fmt``: a spec's text in one layout, with the same meaning.

Two spaces a level, lists indented below their key, one space after ``:`` and ``-``, two before a comment, no blanks at line
ends, at most one blank line, one newline at the end. Comments, anchors, quotes and flow style stay as written.
"""

from __future__ import annotations

from typing import Any

import yaml

from mlinfra.model.errors import SpecError
from mlinfra.spec.layout import INDENT, Continuation, Layout, Level, Line, Unusual, layout_of
from mlinfra.spec.yaml_reader import LOADER, UNREADABLE, read_yaml

_ODD_BREAKS = ("\r", "\x85", "\u2028", "\u2029")
_ROUNDS = 3


def format_text(text: str, file: str = "mlinfra.yaml") -> str:
    """The same YAML in the one layout; formatting twice changes nothing more.

    SpecError when it is no YAML. A text whose layout cannot be changed without changing what it says is given back as it is.
    """
    document = read_yaml(text.removeprefix("\ufeff"), file)
    broken = [p for p in document.problems if p.code in UNREADABLE]
    if broken:
        raise SpecError(broken)
    clean = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if any(odd in clean for odd in _ODD_BREAKS):
        return text
    try:
        found = _settled(clean)
        if found is None or _ink(found) != _ink(clean) or _events(found) != _events(clean):
            return text
        return found
    except (Unusual, yaml.YAMLError):
        return text


def _ink(text: str) -> str:
    """The text without blanks: comments and all, which the parser does not see."""
    return "".join(text.split())


def _settled(text: str) -> str | None:
    """What rendering again and again comes to; None when it comes to no rest."""
    for _ in range(_ROUNDS):
        rendered = _render(text)
        if rendered == text:
            return text
        text = rendered
    return None


def _events(text: str) -> list[tuple[Any, ...]]:
    """All that a parser hears of a text, without places."""
    return [
        (type(e), *(getattr(e, name, None) for name in ("anchor", "tag", "implicit", "value", "style", "flow_style")))
        for e in yaml.parse(text, Loader=LOADER)
    ]


def _render(text: str) -> str:
    source = text.removesuffix("\n").split("\n")
    layout = layout_of(text, source)
    out: list[str] = []
    indents: dict[int, tuple[int, int]] = {}
    below = _lines_below(layout, len(source))
    previous: Line | None = None
    number = 0
    while number < len(source):
        row = source[number]
        block = layout.texts.get(number)
        if block is not None and block.end > block.first:
            out += [_reindented(r, block.written, block.wanted) for r in source[block.first : block.end]]
            number = block.end
            continue
        continuation, line = layout.continuations.get(number), layout.lines.get(number)
        if continuation is not None:
            out.append(_continued(row, continuation, indents))
        elif line is not None:
            out.append(_structured(row, line))
            indents[number] = (_indent(row), _indent(out[-1]))
            previous = line
        elif row.strip():
            out.append(" " * _comment_indent(row, previous, below[number]) + row.strip())
        elif out and (out[-1] or number in layout.continuations):
            out.append("")
        number += 1
    while out and not out[-1] and not _ends_with_kept_text(layout, len(source)):
        out.pop()
    return "\n".join(out) + "\n" if out else ""


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip(" "))


def _reindented(row: str, written: int, wanted: int) -> str:
    """A line of a block text; blanks beyond its indentation are part of the text."""
    if not row.strip(" ") and len(row) <= written:
        return ""
    return " " * wanted + row[min(written, _indent(row)) :]


def _continued(row: str, continuation: Continuation, indents: dict[int, tuple[int, int]]) -> str:
    before, after = indents.get(continuation.start, (0, 0))
    body = row.lstrip(" ") if continuation.open_quote else row.strip(" \t")
    if not body:
        return ""
    return " " * max(_indent(row) + after - before, continuation.least) + body


def _structured(row: str, line: Line) -> str:
    if line.as_written:
        return row.rstrip()
    out = ""
    begin = 0
    for entry in line.entries:
        out = out.ljust(entry.level.wanted)
        if entry.colon < 0:
            out += "-"
        else:
            key = row[entry.start : entry.colon].rstrip()
            out += f"{key} :" if key.startswith("*") else f"{key}:"
        begin = entry.end
    runs_on = line.content_end < 0
    rest = (row[begin:] if runs_on else row[begin : line.content_end]).lstrip()
    rest = rest if line.open_quote else rest.rstrip()
    comment = "" if runs_on else row[line.content_end :].strip()
    if comment and not comment.startswith("#"):
        raise Unusual
    if not line.entries:
        out = " " * (line.levels[-1].wanted + INDENT if line.levels else 0) + rest
    elif rest:
        out += " " + rest
    return f"{out}  {comment}" if comment else out


def _lines_below(layout: Layout, count: int) -> list[Line | None]:
    """For every line the next one that tokens begin on."""
    found: list[Line | None] = [None] * count
    for number in range(count - 2, -1, -1):
        found[number] = layout.lines.get(number + 1, found[number + 1])
    return found


def _comment_indent(row: str, previous: Line | None, following: Line | None) -> int:
    """Where a comment line belongs: with the collection, of the line below or else of those above, whose column it has."""
    column = _indent(row)
    candidates: list[Level] = []
    if following is not None:
        candidates += reversed(following.levels)
    if previous is not None:
        candidates += reversed(previous.levels_after)
    for level in candidates:
        if level.written == column:
            return level.wanted
    left_of = [level for level in candidates if level.written < column]
    return max(left_of, key=lambda level: level.written).wanted if left_of else 0


def _ends_with_kept_text(layout: Layout, end: int) -> bool:
    """Whether the file ends with a ``|+`` text, to which its blank lines belong."""
    return any(block.kept and block.end >= end for block in layout.texts.values())
