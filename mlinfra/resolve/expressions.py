"""Turns what was written into frozen trees: ``${…}`` become values where they are known, Refs and Exprs where not."""

from __future__ import annotations

from typing import Any, Protocol

from mlinfra.model.diagnostic import Span
from mlinfra.model.values import UNKNOWN, Expr, Map, Path, Value
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.resolve.problems import At, Problems
from mlinfra.resolve.template import TemplateError, parse, reference
from mlinfra.spec.positions import YamlList, YamlMap


class NameProblem(Exception):
    """A name that cannot be used here. The one who evaluates the expression knows the place."""

    def __init__(self, code: str, message: str, hint: str = "", related: tuple[tuple[Span, str], ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.related = related


class Names(Protocol):
    """What names mean at one place of the spec."""

    def find(self, chain: Path, *, alone: bool) -> tuple[Path, Value]:
        """The value of the longest part of ``chain`` that can be followed, and that part. ``alone``: nothing else stands in
        the expression. NameProblem when it means nothing."""


def evaluate(written: Any, at: At, names: Names, problems: Problems) -> Value:
    """The frozen tree of a value as written.

    An expression that is wrong is noted, and UNKNOWN stands for it, so that whoever uses it complains no second time."""
    kind = type(written)
    if kind is str:
        return _text(written, at, names, problems) if "${" in written else written
    if isinstance(written, YamlMap):
        found = {}
        for key, value in written.items():
            if "${" in key:
                hint = "write the key out; for_each makes one resource for each entry of a map"
                problems.add("expression.in_key", "a key cannot hold an expression", written.key_span(key), hint)
            found[key] = evaluate(value, (written, key), names, problems)
        return Map(found)
    if isinstance(written, YamlList):
        return tuple([evaluate(value, (written, index), names, problems) for index, value in enumerate(written)])
    return written


def _text(text: str, at: At, names: Names, problems: Problems) -> Value:
    if whole := reference(text):
        try:
            path, value = names.find(whole, alone=True)
        except NameProblem as problem:
            _note(problem, problems.inside(at, text, text.index(str(whole[0]))), problems)
            return UNKNOWN
        if path == whole:
            return value
    return _template(text, at, names, problems)


def _template(text: str, at: At, names: Names, problems: Problems) -> Value:
    try:
        template = parse(text)
    except TemplateError as error:
        hint = "write $${ for a literal ${"
        problems.add("expression.syntax", error.message, problems.inside(at, text, error.offset), hint)
        return UNKNOWN
    if not template.codes:
        return "".join(str(part) for part in template.parts)
    bindings: dict[Path, Value] = {}
    failed = False
    for code in template.codes:
        for chain in code.chains:
            try:
                path, value = names.find(chain.names, alone=code.plain is not None)
            except NameProblem as problem:
                _note(problem, problems.inside(at, text, code.offset + chain.start), problems)
                failed = True
                continue
            if template.whole is not None and template.whole.plain is chain and path == chain.names:
                return value
            bindings[path] = value
    return UNKNOWN if failed else _complete(Expr(text, tuple(bindings.items())), at, problems)


def _note(problem: NameProblem, place: Span | None, problems: Problems) -> None:
    problems.add(problem.code, problem.message, place, problem.hint, problem.related)


def _complete(expression: Expr, at: At, problems: Problems) -> Value:
    try:
        value = cel.complete(expression)
        if value is expression:
            cel.check(expression.source)
    except ExpressionError as error:
        problems.in_expression(error, at, expression.source)
        return UNKNOWN
    return value
