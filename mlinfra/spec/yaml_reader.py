"""YAML text to nested :class:`YamlMap` and :class:`YamlList`, every value with its place.

libyaml's events with a builder of our own: no recursion, problems collected instead of the first one raised, and several
times faster than PyYAML's constructor. Anchors, aliases and merge keys work; whatever could exhaust memory is refused.
"""

from __future__ import annotations

import gc
import re
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.spec import yaml_scalars
from mlinfra.spec.positions import Mark, YamlList, YamlMap
from mlinfra.spec.suggest import did_you_mean
from mlinfra.spec.yaml_syntax import syntax_problem

MAX_DEPTH = 64
MAX_ALIASED = 200_000
"""How many nodes aliases may add to those that are written out."""
MAX_BYTES = 32 * 2**20
UNREADABLE = frozenset(
    {
        "yaml.syntax", "yaml.encoding", "yaml.too_large", "yaml.unreadable", "yaml.too_deep", "yaml.alias_bomb",
        "yaml.many_documents",
    }
)  # fmt: skip
"""Codes of the problems that end a file: nothing, or not all of it, could be read."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {"str", "int", "float", "bool", "null"}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
"""What YAML 1.2 allows in no text. Said the other way round, by what it allows, it would take 3 ms to compile."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """``value`` is the root (None when the file is empty or unreadable); ``mark`` its place."""

    value: Any
    mark: Mark = (1, 1, 1, 1)
    problems: list[Diagnostic] = field(default_factory=list)


class _GiveUp(Exception):
    """The rest of this file cannot be read; the problem is recorded."""


@dataclass(slots=True)
class _Frame:
    """An open collection. ``key`` is the pending key of a map (None: the next node is a key), ``skip`` that its value is
    dropped; ``before`` the number of nodes when it opened; ``height`` of what is inside."""

    node: YamlMap | YamlList
    start: Mark
    flow: bool
    anchor: str | None
    before: int
    height: int = 0
    key: str | None = None
    key_mark: Mark = (0, 0, 0, 0)
    skip: bool = False
    merges: list[tuple[Any, Mark]] | None = None
    as_key: bool = False


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    text: str | None
    size: int
    height: int


def read_text(path: Path, file: str) -> tuple[str, list[Diagnostic]]:
    """The text of a YAML file as UTF-8 (a byte-order mark is dropped), or ``""`` and what is wrong with it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            size = f"{path.stat().st_size / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} are read"
            return "", [Diagnostic(code="yaml.too_large", message=f"{file} is too large: {size}", span=Span(file, 1, 1))]
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        return "", [Diagnostic(code="yaml.unreadable", message=f"{file} cannot be read: {reason}", span=Span(file, 1, 1))]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8", errors="replace")
        line, column = good.count("\n") + 1, len(good) - (good.rfind("\n") + 1) + 1
        return "", [
            Diagnostic(
                code="yaml.encoding",
                message=f"{file} is not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}",
                span=Span(file, line, column),
                hint="save it as UTF-8",
            )
        ]


def read_yaml(text: str, file: str) -> YamlDocument:
    """Read one document. Never raises: problems are in the result, and ``value`` holds what could be read."""
    if len(text) > MAX_BYTES:
        return YamlDocument(
            None, problems=[Diagnostic(code="yaml.too_large", message=f"{file} is too large", span=Span(file, 1, 1))]
        )
    bad = _UNPRINTABLE.search(text)
    if bad:
        return YamlDocument(None, problems=[_unprintable(text, bad.start(), file)])
    builder = _Builder(file)
    collecting = gc.isenabled()
    gc.disable()
    try:
        builder.run(LOADER(text))
    except yaml.YAMLError as error:
        builder.problems.append(syntax_problem(error, text, file))
    except _GiveUp:
        pass
    finally:
        if collecting:
            gc.enable()
    return YamlDocument(builder.root, builder.root_mark, builder.problems)


def _unprintable(text: str, offset: int, file: str) -> Diagnostic:
    lines = text[:offset].splitlines(keepends=True) or [""]
    ended = lines[-1].endswith(("\n", "\r", "\x85", "\u2028", "\u2029"))
    line, column = (len(lines) + 1, 1) if ended else (len(lines), len(lines[-1]) + 1)
    return Diagnostic(
        code="yaml.syntax",
        message=f"the character U+{ord(text[offset]):04X} is not allowed in YAML",
        span=Span(file, line, column),
        hint='write it as an escape in double quotes, like "\\x07"',
    )


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Diagnostic] = []
        self.root: Any = None
        self.root_mark: Mark = (1, 1, 1, 1)
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._aliased = 0

    def run(self, parser: Any) -> None:
        """Read all events. YAMLError comes through; _GiveUp when a limit is passed."""
        next_event = parser.get_event
        scalar, mapping_start, sequence_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
        mapping_end, sequence_end, alias = yaml.MappingEndEvent, yaml.SequenceEndEvent, yaml.AliasEvent
        plain_values: dict[str, Any] = {}
        resolve = yaml_scalars.plain
        documents = 0
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
                start, end = event.start_mark, event.end_mark
                mark = (start.line + 1, start.column + 1, end.line + 1, end.column + 1)
                text = event.value
                if event.tag is not None:
                    value = self._tagged(event, mark)
                elif event.style or not event.implicit[0]:
                    value = text
                    if "\0" in text:
                        value = self._without_nul(text, mark)
                elif text in plain_values:
                    value = plain_values[text]
                else:
                    try:
                        value = plain_values[text] = resolve(text)
                    except ValueError as error:
                        self._problem("yaml.bad_number", str(error), mark)
                        value = 0
                self._nodes += 1
                if event.anchor is not None:
                    self._anchors[event.anchor] = _Anchored(value, text, 1, 0)
                plain = not event.style and event.tag is None
                self._add(value, mark, text, merge=plain and text == "<<")
            elif kind is mapping_start or kind is sequence_start:
                self._open(event, YamlMap if kind is mapping_start else YamlList)
            elif kind is mapping_end or kind is sequence_end:
                self._close(event)
            elif kind is alias:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    mark = _mark(event)
                    self._problem("yaml.many_documents", "a spec is one YAML document; a second one starts here", mark,
                                  hint="put it into a file of its own, or remove the '---'")  # fmt: skip
                    raise _GiveUp
            elif event is None or kind is yaml.StreamEndEvent:
                return

    def _problem(
        self, code: str, message: str, mark: Mark, *, hint: str = "", related: tuple[tuple[Span, str], ...] = ()
    ) -> None:
        self.problems.append(Diagnostic(code=code, message=message, span=Span(self.file, *mark), hint=hint, related=related))

    def _without_nul(self, text: str, mark: Mark) -> str:
        """No path, variable or argument of a program can hold U+0000; refused here, nobody else has to think of it."""
        self._problem("yaml.nul", "the character U+0000 cannot stand in a text", mark, hint="remove the \\0")
        return text.replace("\0", "")

    def _tagged(self, event: Any, mark: Mark) -> Any:
        """A scalar with an explicit tag: one of the core schema's, and its text must fit."""
        if event.tag == "!":
            return event.value
        name = event.tag.removeprefix(_TAG)
        if name == event.tag or name not in _SCALAR_TAGS:
            self._unknown_tag(event.tag, mark)
            return event.value
        if name == "str":
            return event.value
        try:
            value = yaml_scalars.plain(event.value)
        except ValueError as error:
            self._problem("yaml.bad_number", str(error), mark)
            return 0
        if name == "float" and type(value) is int:
            value = float(value)
        wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}[name]
        if type(value) is not wanted:
            self._problem("yaml.bad_tag", f"{event.value[:40]!r} is no !!{name}", mark)
        return value

    def _unknown_tag(self, tag: str, mark: Mark) -> None:
        shown = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
        self._problem("yaml.unknown_tag", f"the tag {shown[:60]} is not known here", mark,
                      hint="remove it; values that are computed are written as ${…}")  # fmt: skip

    def _open(self, event: Any, make: type[YamlMap] | type[YamlList]) -> None:
        mark = _mark(event)
        if event.tag is not None and event.tag not in ("!", _TAG + ("map" if make is YamlMap else "seq")):
            self._unknown_tag(event.tag, mark)
        stack = self._stack
        if len(stack) >= MAX_DEPTH:
            self._too_deep(mark)
        self._nodes += 1
        parent = stack[-1] if stack else None
        as_key = parent is not None and type(parent.node) is YamlMap and parent.key is None and not parent.skip
        if as_key:
            self._problem(
                "yaml.bad_key", "a key must be text, not a map or a list", mark, hint='quote it if it is text, like "${x}"'
            )
        stack.append(_Frame(make(self.file, mark), mark, bool(event.flow_style), event.anchor, self._nodes - 1, as_key=as_key))

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        node = frame.node
        if frame.flow:
            end = event.end_mark
            line, column = end.line + 1, end.column + 1
        else:
            last = _last_mark(node)
            line, column = (last[2], last[3]) if last else (frame.start[2], frame.start[3])
        node.mark = (frame.start[0], frame.start[1], line, column)
        if frame.merges:
            self._merge(frame)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(node, None, self._nodes - frame.before, frame.height + 1)
        if self._stack:
            parent = self._stack[-1]
            parent.height = max(parent.height, frame.height + 1)
            if frame.as_key:
                parent.skip = True
                return
        self._add(node, node.mark, None)

    def _alias(self, event: Any) -> None:
        name, mark = event.anchor, _mark(event)
        target = self._anchors.get(name)
        if target is None or any(frame.anchor == name for frame in self._stack):
            if any(frame.anchor == name for frame in self._stack):
                self._problem("yaml.alias_loop", f"*{name} stands inside of what &{name} names", mark)
            else:
                self._problem("yaml.unknown_alias", f"there is no anchor &{name} above", mark,
                              hint=did_you_mean(name, self._anchors, allowed="anchors"))  # fmt: skip
            self._nodes += 1
            merging = bool(self._stack) and self._stack[-1].merges is not None and self._stack[-1].key == "<<"
            self._add(YamlMap(self.file, mark) if merging else None, mark, name)
            return
        if len(self._stack) + target.height > MAX_DEPTH:
            self._too_deep(mark)
        self._nodes += target.size
        self._aliased += target.size
        if self._aliased > MAX_ALIASED:
            self._problem("yaml.alias_bomb", f"aliases expand this file by more than {MAX_ALIASED:,} values", mark,
                          hint="write a for_each or a module instead of aliases of aliases")  # fmt: skip
            raise _GiveUp
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, target.height)
        self._add(target.value, mark, target.text)

    def _too_deep(self, mark: Mark) -> None:
        self._problem("yaml.too_deep", f"this is nested more than {MAX_DEPTH} levels deep", mark)
        raise _GiveUp

    def _add(self, value: Any, mark: Mark, text: str | None, *, merge: bool = False) -> None:
        """Put a finished node where it belongs: root, list item, key or value."""
        if not self._stack:
            self.root, self.root_mark = value, mark
            return
        frame = self._stack[-1]
        node = frame.node
        if type(node) is YamlList:
            node.append(value)
            node.values_at.append(mark)
            return
        assert type(node) is YamlMap
        if frame.skip:
            frame.skip = False
            frame.key = None
        elif frame.key is None:
            self._add_key(frame, node, mark, text, merge)
        else:
            key = frame.key
            frame.key = None
            if frame.merges is not None and key == "<<" and frame.key_mark == frame.merges[-1][1]:
                frame.merges[-1] = (value, mark)
                return
            node[key] = value
            node.keys_at[key] = frame.key_mark
            node.values_at[key] = mark

    def _add_key(self, frame: _Frame, node: YamlMap, mark: Mark, text: str | None, merge: bool) -> None:
        if text is None:
            self._problem("yaml.bad_key", "a key must be text, not a map or a list", mark)
            frame.skip = True
        elif merge:
            if frame.merges is not None:
                self._problem("yaml.duplicate_key", "'<<' stands twice in this map", mark, hint="merge several with <<: [*a, *b]")
                frame.skip = True
                return
            frame.key, frame.key_mark, frame.merges = text, mark, [(None, mark)]
        elif text in node:
            first = Span(self.file, *node.keys_at[text])
            shown = text if len(text) <= 60 else text[:60] + "…"
            self._problem("yaml.duplicate_key", f"the key {shown!r} stands twice in this map", mark,
                          hint="remove or rename one of them", related=((first, "first here"),))  # fmt: skip
            frame.skip = True
        else:
            frame.key, frame.key_mark = text, mark

    def _merge(self, frame: _Frame) -> None:
        """Take over the entries of ``<<``: what is written in the map wins, then earlier maps over later ones."""
        node = frame.node
        assert type(node) is YamlMap
        assert frame.merges is not None
        value, mark = frame.merges[0]
        sources = value if type(value) is YamlList else [value]
        for source in sources:
            if type(source) is not YamlMap:
                self._problem("yaml.bad_merge", "'<<' takes a map, an alias of a map, or a list of these", mark,
                              hint="like <<: *defaults")  # fmt: skip
                return
            for key, item in source.items():
                if key not in node:
                    node[key] = item
                    node.keys_at[key] = source.keys_at[key]
                    node.values_at[key] = source.values_at[key]


def _mark(event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    return (start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _last_mark(node: YamlMap | YamlList) -> Mark | None:
    marks = node.values_at
    if isinstance(marks, dict):
        return next(reversed(marks.values())) if marks else None
    return marks[-1] if marks else None
