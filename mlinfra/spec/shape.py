"""Checks of what was written against what is expected, collecting every problem with its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.spec.names import problem_with
from mlinfra.spec.positions import YamlList, YamlMap
from mlinfra.spec.suggest import did_you_mean
from mlinfra.spec.words import cut, describe


class Shape:
    """Reads entries of YAML maps. A wrong one is noted and read as if it were absent, so that reading goes on."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def problem(
        self, code: str, message: str, span: Span | None, hint: str = "", related: tuple[tuple[Span, str], ...] = ()
    ) -> None:
        self.problems.append(Diagnostic(code=code, message=message, span=span, hint=hint, related=related))

    def wrong(self, node: YamlMap, key: str, where: str, expected: str, hint: str = "") -> None:
        """Note that the value of ``key`` is not what is expected."""
        found = describe(node[key])
        span = node.key_span(key) if node[key] is None else node.value_span(key)
        self.problem("spec.bad_type", f"{where} must be {expected}, not {found}", span, hint)

    def keys(self, node: YamlMap, allowed: Collection[str], where: str) -> None:
        """Refuse keys that mean nothing here."""
        for key in node:
            if key not in allowed:
                hint = did_you_mean(key, allowed)
                self.problem("spec.unknown_key", f"{where} has no key {cut(key)!r}", node.key_span(key), hint)

    def name(self, node: YamlMap, key: str, what: str, *, starts_expression: bool = False) -> bool:
        """Whether the key is a good name of a ``what``."""
        problem = problem_with(key, what, starts_expression=starts_expression)
        if problem:
            self.problem("spec.bad_name", problem[0], node.key_span(key), problem[1])
        return problem is None

    def map(self, node: YamlMap, key: str, where: str) -> YamlMap | None:
        value = node.get(key)
        if value is None or isinstance(value, YamlMap):
            return value
        self.wrong(node, key, where, "a map", _map_hint(value))
        return None

    def list(self, node: YamlMap, key: str, where: str) -> YamlList | None:
        value = node.get(key)
        if value is None or isinstance(value, YamlList):
            return value
        self.wrong(node, key, where, "a list", "start every item with '- ', or write [a, b]")
        return None

    def text(self, node: YamlMap, key: str, where: str) -> str | None:
        value = node.get(key)
        if value is None or isinstance(value, str):
            return value
        plain = isinstance(value, (bool, int, float))
        self.wrong(node, key, where, "text", "quote it to make it text" if plain else "")
        return None

    def flag(self, node: YamlMap, key: str, where: str, default: bool = False) -> bool:
        value = node.get(key)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        hint = ""
        if isinstance(value, str):
            words = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
            meant = words.get(value.lower(), value.lower() if value.lower() in ("true", "false") else "")
            hint = f"write {meant}" if meant else ""
        self.wrong(node, key, where, "true or false", hint)
        return default

    def texts(self, node: YamlMap, key: str, where: str) -> tuple[tuple[str, Span], ...]:
        """A list of texts, each with its place."""
        items = self.list(node, key, where)
        found = []
        for index, item in enumerate(items or ()):
            assert items is not None
            if isinstance(item, str):
                found.append((item, items.value_span(index)))
            else:
                self.problem("spec.bad_type", f"{where}[{index}] must be text, not {describe(item)}", items.value_span(index))
        return tuple(found)

    def entries(self, node: YamlMap, key: str, where: str) -> Iterator[tuple[str, YamlMap]]:
        """The entries of the map of maps at ``key``; those that are no maps are noted and left out."""
        block = self.map(node, key, where)
        for name in block or ():
            assert block is not None
            value = block[name]
            if isinstance(value, YamlMap):
                yield name, value
            else:
                self.wrong(block, name, f"{where}.{cut(name)}", "a map", _map_hint(value))

    def items(self, node: YamlMap, key: str, where: str) -> Iterator[tuple[str, YamlMap]]:
        """The items of the list of maps at ``key``, each with what it is called."""
        block = self.list(node, key, where)
        for index, item in enumerate(block or ()):
            assert block is not None
            if isinstance(item, YamlMap):
                yield f"{where}[{index}]", item
            else:
                span = block.value_span(index)
                self.problem("spec.bad_type", f"{where}[{index}] must be a map, not {describe(item)}", span)

    def missing(self, where: str, key: str, span: Span | None, hint: str = "") -> None:
        self.problem("spec.missing_key", f"{where} needs {key!r}", span, hint)


def _map_hint(value: Any) -> str:
    if value is None:
        return "indent what belongs to it, or write {}"
    return "write entries as 'key: value'" if not isinstance(value, YamlList) else "leave out the dashes: 'name: {…}'"
