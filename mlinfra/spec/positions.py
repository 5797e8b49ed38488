"""YAML containers that remember where they were written.

A :class:`YamlMap` is a dict, a :class:`YamlList` a list; both carry the place of their values (and keys) as the parser gives it, made into
:class:`Span` only when somebody asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from mlinfra.model.dataclass import maker, replace
from mlinfra.model.diagnostic import Span
from mlinfra.model.values import Path


class Point(Protocol):
    """A place between two characters, as PyYAML's parser gives it: ``line`` and ``column`` from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


Mark = tuple[Point, Point]
"""Where something begins, and where it ends."""
Place = tuple[Point, Point, Point, Point]
"""The mark of a key, then that of its value: one tuple, because a large spec has a hundred thousand."""


class _Beginning:
    line = 0
    column = 0


NOWHERE: Mark = (_Beginning(), _Beginning())
"""The place of what stands in no text: where a file begins."""


_span = maker(Span)


def span_of(file: str, start: Point, end: Point) -> Span:
    """The place in words that people count in: from 1, the end exclusive."""
    return _span(file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


class YamlMap(dict[str, Any]):
    """``file`` is the file's name as shown; ``mark`` the map's own place; ``places`` those of its entries (and perhaps others)."""

    __slots__ = ("file", "mark", "places")

    def __init__(self, file: str, mark: Mark, places: dict[str, Place] | None = None) -> None:
        self.file = file
        self.mark = mark
        self.places: dict[str, Place] = {} if places is None else places

    def take(self, source: YamlMap, key: str) -> None:
        """Add an entry of ``source`` with its place."""
        self[key] = source[key]
        self.places[key] = source.places[key]

    def without(self, keys: Collection[str]) -> YamlMap:
        """The entries but those of ``keys``, with the same ``places``."""
        rest = YamlMap(self.file, self.mark, self.places)
        for key, value in self.items():
            if key not in keys:
                rest[key] = value
        return rest

    def key_span(self, key: str) -> Span:
        place = self.places.get(key)
        return self.span if place is None else span_of(self.file, place[0], place[1])

    def value_span(self, key: str) -> Span:
        place = self.places.get(key)
        return self.span if place is None else span_of(self.file, place[2], place[3])

    @property
    def span(self) -> Span:
        return span_of(self.file, *self.mark)


class MergedMap(YamlMap):
    """A map whose entries come from several files."""

    __slots__ = ("_files",)

    def __init__(self, file: str, mark: Mark) -> None:
        super().__init__(file, mark)
        self._files: dict[str, str] = {}

    def take(self, source: YamlMap, key: str) -> None:
        super().take(source, key)
        self._files[key] = source.file

    def key_span(self, key: str) -> Span:
        return replace(super().key_span(key), file=self._files.get(key, self.file))

    def value_span(self, key: str) -> Span:
        return replace(super().value_span(key), file=self._files.get(key, self.file))


class YamlList(list[Any]):
    """``values_at`` holds the place of each item, by index."""

    __slots__ = ("file", "mark", "values_at")

    def __init__(self, file: str, mark: Mark) -> None:
        self.file = file
        self.mark = mark
        self.values_at: list[Mark] = []

    def value_span(self, index: int) -> Span:
        return span_of(self.file, *(self.values_at[index] if 0 <= index < len(self.values_at) else self.mark))

    @property
    def span(self) -> Span:
        return span_of(self.file, *self.mark)


def find_span(node: Any, path: Path, *, key: bool = False) -> Span | None:
    """The place of the value at ``path`` below ``node`` (of its key when ``key``); None when nothing stands there."""
    span: Span | None = node.span if isinstance(node, (YamlMap, YamlList)) else None
    for index, step in enumerate(path):
        last = index == len(path) - 1
        if isinstance(node, YamlMap) and step in node:
            name = str(step)
            span = node.key_span(name) if key and last else node.value_span(name)
            node = node[name]
        elif isinstance(node, YamlList) and isinstance(step, int) and 0 <= step < len(node):
            span = node.value_span(step)
            node = node[step]
        else:
            return None
    return span


class Spans(Mapping[Path, Span]):
    """``Component.spans`` over a YAML node, computed on demand."""

    __slots__ = ("_node",)

    def __init__(self, node: Any) -> None:
        self._node = node

    def __getitem__(self, path: Path) -> Span:
        span = find_span(self._node, path)
        if span is None:
            raise KeyError(path)
        return span

    def key_span(self, path: Path) -> Span | None:
        """The place of the key that ``path`` ends with; of the item itself in a list; None when nothing stands there."""
        return find_span(self._node, path, key=True)

    def __iter__(self) -> Iterator[Path]:
        return iter(_paths(self._node, ()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _paths(node: Any, path: Path) -> Iterator[Path]:
    yield path
    if isinstance(node, YamlMap):
        for key, child in node.items():
            yield from _paths(child, (*path, key))
    elif isinstance(node, YamlList):
        for index, child in enumerate(node):
            yield from _paths(child, (*path, index))
