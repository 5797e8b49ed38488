"""YAML text to nested :class:`YamlMap` and :class:`YamlList`, every value with its place.

libyaml's events with a builder of our own: no recursion, problems collected instead of the first one raised, and several
times faster than PyYAML's constructor. Anchors, aliases and merge keys work; whatever could exhaust memory is refused.
"""

from __future__ import annotations

import gc
from dataclasses import field
from enum import Enum
from pathlib import Path
from sys import intern
from typing import Any, cast

import yaml

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.patterns import pattern
from mlinfra.spec import yaml_scalars
from mlinfra.spec.positions import NOWHERE, Mark, Point, YamlList, YamlMap, span_of
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
_UNPRINTABLE = pattern("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
"""What YAML 1.2 allows in no text. Said the other way round, by what it allows, it would take 3 ms to compile."""


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """``value`` is the root (None when the file is empty or unreadable); ``mark`` its place."""

    value: Any
    mark: Mark = NOWHERE
    problems: list[Diagnostic] = field(default_factory=list)


class _GiveUp(Exception):
    """The rest of this file cannot be read; the problem is recorded."""


class _Next(Enum):
    """What the next node of an open collection is, when it is neither a key (None) nor the value of a key (that key)."""

    ITEM = "an item of a list"
    MERGED = "what << takes over"
    KEYLESS = "the value of a key that cannot be used"
    NO_KEY = "a map or a list where a key must stand"


_ITEM, _MERGED, _KEYLESS, _NO_KEY = _Next


@dataclass(slots=True)
class _Frame:
    """An open collection. ``before`` is the number of nodes when it opened, ``height`` that of what is inside, ``merged`` the
    value of ``<<`` with its place (that of the key at first). While another collection is open inside, ``next`` says what that one
    is here, and ``key_mark`` where its key stands."""

    node: Any
    flow: bool
    anchor: str | None
    before: int
    height: int = 0
    merged: tuple[Any, Mark] | None = None
    next: _Next | str | None = None
    key_mark: Mark = NOWHERE


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias stands for: the value, its text when it is a scalar, how many nodes it is and how many levels high."""

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
    return builder.document()


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
        self._document = YamlList(file, NOWHERE)
        """Its only item is the root, as soon as that is complete."""
        self._anchors: dict[str, _Anchored] = {}
        self._aliased = 0

    def document(self) -> YamlDocument:
        """What was read so far."""
        if not self._document:
            return YamlDocument(None, problems=self.problems)
        return YamlDocument(self._document[0], self._document.values_at[0], self.problems)

    def run(self, parser: Any) -> None:
        """Read all events. YAMLError comes through; _GiveUp when a limit is passed.

        One loop, because a large spec has a hundred thousand events: its first half makes a node of an event (of several, when
        it is a collection, which is open until its end comes), the second half puts the node where it belongs."""
        next_event = parser.get_event
        scalar, mapping_start, sequence_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
        mapping_end, sequence_end, alias = yaml.MappingEndEvent, yaml.SequenceEndEvent, yaml.AliasEvent
        plain_values, means_more = yaml_scalars.PlainValues(), yaml_scalars.MEANS_MORE
        stack: list[_Frame] = []
        frame = _Frame(self._document, False, None, 0)
        node, expected = frame.node, cast("_Next | str | None", _ITEM)
        key_mark = NOWHERE
        nodes = documents = 0
        value: Any
        text: str | None
        while True:
            event = next_event()
            kind = type(event)
            mark = (event.start_mark, event.end_mark)
            if kind is scalar:
                value = text = event.value
                if event.tag is not None:
                    value = self._tagged(event, mark)
                elif event.style:
                    if "\0" in value:
                        value = self._without_nul(value, mark)
                elif not value or value[0] in means_more:
                    try:
                        value = plain_values[value]
                    except ValueError as error:
                        self._problem("yaml.bad_number", str(error), mark)
                        value = 0
                nodes += 1
                if event.anchor is not None:
                    self._anchors[event.anchor] = _Anchored(value, text, 1, 0)
            elif kind is mapping_start or kind is sequence_start:
                opened = self._open(event, mark, YamlMap if kind is mapping_start else YamlList, nodes, len(stack))
                frame.next = self._no_key(mark) if expected is None else expected
                frame.key_mark = key_mark
                stack.append(frame)
                frame = opened
                node, expected = frame.node, None if kind is mapping_start else _ITEM
                nodes += 1
                continue
            elif kind is mapping_end or kind is sequence_end:
                self._close(frame, mark, nodes)
                closed, value, text, mark = frame, node, None, node.mark
                frame = stack.pop()
                node, expected, key_mark = frame.node, frame.next, frame.key_mark
                if frame.height <= closed.height:
                    frame.height = closed.height + 1
            elif kind is alias:
                target = self._target(event.anchor, mark, [*stack, frame], expected)
                value, text = target.value, target.text
                nodes += target.size
                frame.height = max(frame.height, target.height)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._problem("yaml.many_documents", "a spec is one YAML document; a second one starts here", mark,
                                  hint="put it into a file of its own, or remove the '---'")  # fmt: skip
                    raise _GiveUp
                continue
            elif kind is yaml.StreamEndEvent:
                return
            else:
                continue

            if expected is None:
                key_mark = mark
                expected = text and intern(text)
                if text is None or text in node.places or text == "<<":
                    expected = self._odd_key(event, text, mark, frame)
            elif type(expected) is str:
                node[expected] = value
                node.places[expected] = key_mark + mark
                expected = None
            elif expected is _ITEM:
                node.append(value)
                node.values_at.append(mark)
            elif expected is _NO_KEY:
                expected = _KEYLESS
            else:
                if expected is _MERGED:
                    frame.merged = (value, mark)
                expected = None

    def _problem(
        self, code: str, message: str, mark: Mark, *, hint: str = "", related: tuple[tuple[Span, str], ...] = ()
    ) -> None:
        self.problems.append(Diagnostic(code=code, message=message, span=span_of(self.file, *mark), hint=hint, related=related))

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

    def _open(self, event: Any, mark: Mark, make: type[YamlMap] | type[YamlList], nodes: int, depth: int) -> _Frame:
        if event.tag is not None and event.tag not in ("!", _TAG + ("map" if make is YamlMap else "seq")):
            self._unknown_tag(event.tag, mark)
        if depth >= MAX_DEPTH:
            self._too_deep(mark)
        return _Frame(make(self.file, mark), event.flow_style, event.anchor, nodes)

    def _close(self, frame: _Frame, mark: Mark, nodes: int) -> None:
        node = frame.node
        node.mark = (node.mark[0], mark[1] if frame.flow else _end_of_last(node))
        if frame.merged is not None:
            self._merge(node, *frame.merged)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(node, None, nodes - frame.before, frame.height + 1)

    def _target(self, name: str, mark: Mark, open_frames: list[_Frame], expected: _Next | str | None) -> _Anchored:
        """What the alias ``name`` stands for; nothing when that cannot be said."""
        target = self._anchors.get(name)
        looped = any(frame.anchor == name for frame in open_frames)
        if target is None or looped:
            if looped:
                self._problem("yaml.alias_loop", f"*{name} stands inside of what &{name} names", mark)
            else:
                self._problem("yaml.unknown_alias", f"there is no anchor &{name} above", mark,
                              hint=did_you_mean(name, self._anchors, allowed="anchors"))  # fmt: skip
            return _Anchored(YamlMap(self.file, mark) if expected is _MERGED else None, name, 1, 0)
        if len(open_frames) - 1 + target.height > MAX_DEPTH:
            self._too_deep(mark)
        self._aliased += target.size
        if self._aliased > MAX_ALIASED:
            self._problem("yaml.alias_bomb", f"aliases expand this file by more than {MAX_ALIASED:,} values", mark,
                          hint="write a for_each or a module instead of aliases of aliases")  # fmt: skip
            raise _GiveUp
        return target

    def _too_deep(self, mark: Mark) -> None:
        self._problem("yaml.too_deep", f"this is nested more than {MAX_DEPTH} levels deep", mark)
        raise _GiveUp

    def _odd_key(self, event: Any, text: str | None, mark: Mark, frame: _Frame) -> _Next | str:
        """Take a key that is no text, stands already in the map, or may be the merge key; the answer says what its value is."""
        node = frame.node
        if text is None:
            self._problem("yaml.bad_key", "a key must be text, not a map or a list", mark)
        elif text == "<<" and type(event) is yaml.ScalarEvent and not event.style and event.tag is None:
            if frame.merged is None:
                frame.merged = (None, mark)
                return _MERGED
            self._problem("yaml.duplicate_key", "'<<' stands twice in this map", mark, hint="merge several with <<: [*a, *b]")
        elif text in node:
            shown = text if len(text) <= 60 else text[:60] + "…"
            self._problem("yaml.duplicate_key", f"the key {shown!r} stands twice in this map", mark,
                          hint="remove or rename one of them", related=((node.key_span(text), "first here"),))  # fmt: skip
        else:
            return text
        return _KEYLESS

    def _no_key(self, mark: Mark) -> _Next:
        """Refuse a map or a list that begins where a key must stand."""
        hint = 'quote it if it is text, like "${x}"'
        self._problem("yaml.bad_key", "a key must be text, not a map or a list", mark, hint=hint)
        return _NO_KEY

    def _merge(self, node: YamlMap, value: Any, mark: Mark) -> None:
        """Take over the entries of ``<<``: what is written in the map wins, then earlier maps over later ones."""
        sources = value if type(value) is YamlList else [value]
        for source in sources:
            if type(source) is not YamlMap:
                self._problem("yaml.bad_merge", "'<<' takes a map, an alias of a map, or a list of these", mark,
                              hint="like <<: *defaults")  # fmt: skip
                return
            for key in source:
                if key not in node:
                    node.take(source, key)


def _end_of_last(node: YamlMap | YamlList) -> Point:
    """Where a block collection ends: with its last value."""
    if not node:
        return node.mark[1]
    return node.values_at[-1][1] if isinstance(node, YamlList) else next(reversed(node.places.values()))[3]
