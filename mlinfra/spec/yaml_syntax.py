"""libyaml's syntax errors in words that help."""

from __future__ import annotations

from typing import Any

import yaml

from mlinfra.model.diagnostic import Diagnostic, Span

_WORDS = {
    "mapping values are not allowed in this context": (
        "a ':' cannot stand here",
        "quote the text if the ':' belongs to it, or check the indentation of this line",
    ),
    "could not find expected ':'": ("a ':' is missing after this key", "write it as 'key: value'"),
    "did not find expected key": (
        "a key is expected here",
        "check the indentation and the quotes of this line and the one above",
    ),
    "did not find expected '-' indicator": ("a '-' is expected here", "indent every item of the list alike"),
    "did not find expected ',' or ']'": ("this list '[…]' is not closed", "separate items with ',' and end with ']'"),
    "did not find expected ',' or '}'": (
        "this map '{…}' is not closed",
        "separate entries with ',', end with '}', and quote ${…} inside",
    ),
    "found unexpected end of stream": ("the file ends inside a quoted text", "close the quote"),
    "did not find expected node content": ("a value is expected here", ""),
    "block sequence entries are not allowed in this context": (
        "a list item '-' cannot stand here",
        "start the list on a line of its own",
    ),
    "found undefined tag handle": ("this tag is not known", "remove it, or quote the text if the '!' belongs to it"),
    "found unknown escape character": ("this escape is not known", "use single quotes for text with backslashes"),
    "control characters are not allowed": ("a control character stands here", "remove it"),
    "did not find expected <document start>": (
        "something stands here that belongs to nothing",
        "check the indentation of this line",
    ),
}
_CONTEXTS = {
    "while parsing a block mapping": "this map started here",
    "while parsing a flow mapping": "this map '{…}' started here",
    "while parsing a block collection": "this list started here",
    "while parsing a flow sequence": "this list '[…]' started here",
    "while scanning a quoted scalar": "this quoted text started here",
    "while scanning a simple key": "this key started here",
}


def syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Diagnostic:
    """One diagnostic for what libyaml could not read, at its place."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    context = str(getattr(error, "context", None) or "")
    message, hint = _WORDS.get(problem, (f"this is no valid YAML: {problem}", ""))
    mark = getattr(error, "problem_mark", None)
    span = _span(mark, file) or Span(file, 1, 1)
    if problem == "found character that cannot start any token":
        character = _character(text, span)
        message, hint = _bad_start(character)
    if problem == "mapping values are not allowed in this context" and "\t" in _line(text, span.line)[: span.column]:
        message, hint = _bad_start("\t")
    started = _span(getattr(error, "context_mark", None), file)
    related = ((started, _CONTEXTS[context]),) if started and started != span and context in _CONTEXTS else ()
    return Diagnostic(code="yaml.syntax", message=message, span=span, hint=hint, related=related)


def _bad_start(character: str) -> tuple[str, str]:
    if character == "\t":
        return "a tab cannot be used for indentation", "indent with spaces"
    return f"a value cannot start with {character!r}", "quote it if it is text"


def _span(mark: Any, file: str) -> Span | None:
    return None if mark is None else Span(file, mark.line + 1, mark.column + 1)


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else ""


def _character(text: str, span: Span) -> str:
    line = _line(text, span.line)
    return line[span.column - 1] if span.column <= len(line) else ""
