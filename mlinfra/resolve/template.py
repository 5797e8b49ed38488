"""Text with ``${…}`` taken apart, and the names that an expression reads. Purely lexical: no CEL, no evaluation.

A small tokenizer of CEL (https://github.com/google/cel-spec/blob/master/doc/langdef.md, "Syntax") is enough: string
literals are skipped, methods are told from fields by the ``(`` behind them, and the variables that a macro binds
(``list.map(x, …)``) are not names of the spec.
"""

from __future__ import annotations

import re
from functools import lru_cache
from sys import intern

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern
from mlinfra.model.values import Path

_STRING = r"""[rRbB]{0,2}(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"""
_RAW = r"""(?:[bB]?[rR][bB]?)(?:\"{3}.*?\"{3}|'{3}.*?'{3}|\"[^\"\n]*\"|'[^'\n]*')"""
_TOKEN = pattern(
    rf"(?P<space>\s+|//[^\n]*)|(?P<string>{_RAW}|{_STRING})|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<quoted>`[^`\n]*`)"
    r"|(?P<number>0[xX][0-9A-Fa-f]+[uU]?|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?[uU]?)|(?P<mark>.)",
    re.DOTALL,
)
_REFERENCE = pattern(r"\$\{\s*((?!(?:true|false|null|in)\b)[a-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*\}\Z")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter", "bind", "optMap", "optFlatMap"})
_LITERALS = frozenset({"true", "false", "null", "in"})
_TYPES = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"})
"""Names of types, where an expression asks for the ``type()`` of something."""
_NAMESPACES = frozenset({"math", "base64", "optional", "cel", "lists", "strings"})
SECRET = "secret()"
"""What stands first in the chain of ``secret("env:NAME")``, with its literal behind it: no resource can have that name."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = pattern(r"\\(?:[xX]([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)


class TemplateError(ValueError):
    """A ``${`` that is never closed, or is empty; ``offset`` is where it stands in the text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Chain:
    """Names that an expression reads: ``raw.uri`` is ``("raw", "uri")``, ``item["a"].uri`` is ``("item", "a", "uri")``.

    ``start`` and ``end`` bound it in the expression's text; ``root_end`` is the end of its first name."""

    names: Path
    start: int
    root_end: int
    end: int


@dataclass(frozen=True, slots=True)
class Code:
    """One ``${…}``. ``offset`` is where ``text`` begins in the template. ``plain`` is the chain when it is nothing else.

    ``identifiers`` are all the names in it, also those that the expression itself binds; ``walks`` are the offsets of every
    ``.map(`` and ``.filter(``, which walk over a list or a map."""

    text: str
    offset: int
    chains: tuple[Chain, ...]
    identifiers: frozenset[str]
    plain: Chain | None
    walks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """Literal text and code in turn, and the ``codes`` alone. ``whole`` is the code when the template is one expression and nothing
    else."""

    parts: tuple[str | Code, ...]
    codes: tuple[Code, ...]
    whole: Code | None


@lru_cache(maxsize=1024)  # for the instances of a block; a large spec has as many references as it has resources, each once
def reference(text: str) -> Path | None:
    """The names of the common ``${raw.uri}``, which is one reference and nothing else; None for every other text."""
    found = _REFERENCE.match(text)
    return tuple(map(intern, found[1].split("."))) if found else None


@lru_cache(maxsize=65536)
def parse(text: str) -> Template:
    """Take a template apart; ``$${`` is a literal ``${``. TemplateError when it cannot be."""
    parts: list[str | Code] = []
    literal: list[str] = []
    position = 0
    while True:
        found = text.find("${", position)
        if found < 0:
            literal.append(text[position:])
            break
        if found > position and text[found - 1] == "$":
            literal.append(text[position : found - 1] + "${")
            position = found + 2
            continue
        literal.append(text[position:found])
        end = _closing(text, found + 2)
        if end < 0:
            raise TemplateError("this ${ is never closed", found)
        if not text[found + 2 : end].strip():
            raise TemplateError("there is nothing between ${ and }", found)
        if joined := "".join(literal):
            parts.append(joined)
        literal = []
        parts.append(code(text[found + 2 : end], found + 2))
        position = end + 1
    if joined := "".join(literal):
        parts.append(joined)
    codes = tuple([part for part in parts if isinstance(part, Code)])
    return Template(tuple(parts), codes, codes[0] if codes and len(parts) == 1 else None)


def code(text: str, offset: int = 0) -> Code:
    """An expression with the names that it reads."""
    chains, identifiers, walks = _chains(text)
    stripped = text.strip()
    plain = next((c for c in chains if text[c.start : c.end] == stripped), None) if len(chains) == 1 else None
    return Code(text, offset, chains, identifiers, plain, walks)


def chains(text: str) -> tuple[Path, ...]:
    """The name chains that the expression ``text`` reads, in order, each once."""
    return tuple(dict.fromkeys(c.names for c in _chains(text)[0]))


def _closing(text: str, position: int) -> int:
    """Where the ``}`` stands that closes an expression that begins at ``position``; -1 when there is none."""
    depth = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None
        if token.lastgroup == "mark":
            if token[0] == "{":
                depth += 1
            elif token[0] == "}":
                if not depth:
                    return position
                depth -= 1
        position = token.end()
    return -1


@dataclass(slots=True)
class _Frame:
    """An open ``(``, with the name that a macro binds inside it."""

    bound: str = ""


def _chains(text: str) -> tuple[tuple[Chain, ...], frozenset[str], tuple[int, ...]]:
    tokens = [t for t in _TOKEN.finditer(text) if t.lastgroup != "space"]
    found: list[Chain] = []
    frames: list[_Frame] = []
    identifiers = {t[0] for t in tokens if t.lastgroup == "name"}
    compares_types = any(t[0] == "type" and _text(tokens, i + 1) == "(" for i, t in enumerate(tokens))
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if token[0] == "(":
            frames.append(_Frame(_bound_name(tokens, index)))
        elif token[0] == ")":
            if frames:
                frames.pop()
        elif token.lastgroup == "name" and token[0] not in _LITERALS and not _is_field(tokens, index):
            chain, index = _chain(tokens, index)
            bound = any(f.bound == token[0] for f in frames)
            is_type = compares_types and chain is not None and chain.names[0] in _TYPES and len(chain.names) == 1
            if chain is not None and not bound and not is_type:
                found.append(chain)
            continue
        index += 1
    walks = [
        tokens[i - 1].start()
        for i, t in enumerate(tokens)
        if t[0] in ("map", "filter") and _text(tokens, i - 1) == "." and _text(tokens, i + 1) == "("
    ]
    return tuple(found), frozenset(identifiers), tuple(walks)


def _text(tokens: list[re.Match[str]], index: int) -> str:
    return tokens[index][0] if 0 <= index < len(tokens) else ""


def _is_field(tokens: list[re.Match[str]], index: int) -> bool:
    before = _text(tokens, index - 1)
    if before == "?":  # .?name is an optional field; a ? b is not
        return _text(tokens, index - 2) == "." and tokens[index - 2].end() == tokens[index - 1].start()
    return before == "."


def _bound_name(tokens: list[re.Match[str]], index: int) -> str:
    """The variable of the macro whose ``(`` stands at ``index``; ``""`` when it is an ordinary call."""
    is_macro = _text(tokens, index - 1) in _MACROS and _text(tokens, index - 2) in (".", "?")
    if is_macro and _text(tokens, index + 2) == "," and tokens[index + 1].lastgroup == "name":
        return _text(tokens, index + 1)
    return ""


def _chain(tokens: list[re.Match[str]], index: int) -> tuple[Chain | None, int]:
    """The chain that begins at the name ``index`` (None: it is a function) and the index of the first token behind it."""
    root = tokens[index]
    names: list[str | int] = [root[0]]
    end = index + 1
    if _text(tokens, end) == "(":
        source = _argument(tokens, end) if root[0] == "secret" else None
        if source is None:
            return None, end
        return Chain((SECRET, source), root.start(), root.end(), tokens[end + 2].end()), end + 3
    if root[0] in _NAMESPACES and _text(tokens, end) == "." and _text(tokens, end + 2) == "(":
        return None, end
    while True:
        mark = _text(tokens, end)
        if mark == "." and end + 1 < len(tokens) and tokens[end + 1].lastgroup in ("name", "quoted"):
            if _text(tokens, end + 2) == "(":
                break
            names.append(tokens[end + 1][0].strip("`"))
            end += 2
        elif mark == "[" and _text(tokens, end + 2) == "]" and tokens[end + 1].lastgroup in ("string", "number"):
            key = _literal(tokens[end + 1][0])
            if key is None:
                break
            names.append(key)
            end += 3
        else:
            break
    return Chain(tuple(names), root.start(), root.end(), tokens[end - 1].end()), end


def _argument(tokens: list[re.Match[str]], index: int) -> str | None:
    """The one literal text between the parentheses that open at ``index``; None when something else stands there."""
    if _text(tokens, index + 2) != ")" or tokens[index + 1].lastgroup != "string":
        return None
    found = _literal(tokens[index + 1][0])
    return found if isinstance(found, str) else None


def _literal(token: str) -> str | int | None:
    """The value of a string or integer literal; None for what cannot be a key (bytes, floats)."""
    if token[0].isdigit() or token[0] == ".":
        return int(token) if token.isdecimal() else None
    prefix = token[: min(token.find(q) for q in "\"'" if q in token)].lower()
    if "b" in prefix:
        return None
    body = token[len(prefix) :]
    width = 3 if body[:3] in ('"""', "'''") and len(body) >= 6 else 1
    body = body[width:-width]
    return body if "r" in prefix else _ESCAPE.sub(_unescape, body)


def _unescape(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits:
        return chr(min(int(digits, 16), 0x10FFFF))
    if match[4]:
        return chr(int(match[4], 8))
    return _ESCAPES.get(match[5], match[5])
