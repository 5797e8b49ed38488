"""What the expression engine complains about, in our words and at the place in the user's text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError
from mlinfra.model.patterns import pattern
from mlinfra.resolve.shared import ORDERED, shared
from mlinfra.resolve.template import Code


class ExpressionError(MlinfraError):
    """An expression that cannot be compiled or evaluated. ``offset`` is the place of the fault in ``source``, from 0."""

    def __init__(
        self, message: str, *, source: str = "", offset: int = 0, hint: str = "", code: str = "expression.invalid"
    ) -> None:
        self.message = message
        self.source = source
        self.offset = offset
        self.hint = hint
        self.code = code
        where = f"{source}: " if source else ""
        super().__init__(Diagnostic(code=code, message=f"{where}{message}", hint=hint))


_COMPLAINT = pattern(r"ERROR: <input>:(\d+):(\d+): (.*?)(?=\n \||\n?ERROR: |\s*\[[A-Z_]+\]\s*\Z|\Z)", re.DOTALL)
_OVERLOADS = (
    pattern(r"found no matching overload for '([^']+)' applied to '(?P<receiver>)\((.*?)\)'(?:\Z|\s)", re.DOTALL),
    pattern(r"No matching overloads found : (?P<receiver>)([^\s(]+)\((.*)\)\Z", re.DOTALL),
    pattern(r"No matching overloads found : \((?P<receiver>.*?)\)\.([^\s(]+)\((.*)\)\Z", re.DOTALL),
)
_OPERATORS = {
    "_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_==_": "==",
    "_!=_": "!=", "_&&_": "&&", "_||_": "||", "!_": "!", "-_": "-", "_[_]": "[ ]", "@in": "in", "_?_:_": "? :",
}  # fmt: skip
_TYPES = {"int64": "int", "uint64": "uint", "null_type": "null", "bool": "boolean"}


def refused(message: str, part: Code, source: str) -> ExpressionError:
    """The engine's first compile error in our words, at its column."""
    found = _COMPLAINT.search(message)
    if not found:
        return ExpressionError(
            _clean(message, shared(part).placeholders), source=source, offset=part.offset, code="expression.syntax"
        )
    offset = shared(part).original(int(found[1]), int(found[2]))
    text = found[3].strip()
    hint = ""
    if text.startswith("Syntax error"):
        text, code_ = "this is no valid expression: " + _syntax(text), "expression.syntax"
    elif undeclared := re.match(r"undeclared reference to '([^']*)'", text):
        from mlinfra.spec.suggest import did_you_mean

        name = undeclared[1]
        text, code_ = f"there is no function {name}()", "expression.unknown_function"
        if re.search(rf"\b{re.escape(name)}\b\s*\(", part.text) is None:
            text, code_ = f"there is nothing named {name}", "expression.unknown_name"
        elif name == "secret":
            text, code_ = "secret() takes one literal text: where the secret is", "expression.type"
            hint = 'like secret("env:DB_PASSWORD")'
        elif name in FUNCTIONS:
            text, code_ = f"{name}() does not take these arguments", "expression.type"
        else:
            hint = did_you_mean(name, FUNCTIONS)
    else:
        text, code_ = _clean(text, shared(part).placeholders), "expression.type"
    return ExpressionError(
        text, source=source, offset=part.offset + min(offset, max(len(part.text) - 1, 0)), hint=hint, code=code_
    )


def _syntax(text: str) -> str:
    """ANTLR's complaint without its list of tokens."""
    text = re.sub(r"^Syntax error:\s*", "", text)
    text = re.sub(r"\s*expecting \{.*", "", text, flags=re.DOTALL)
    text = re.sub(r"(mismatched|extraneous) input '<EOF>'", "something is missing at the end", text)
    text = re.sub(r"no viable alternative at input '(.*)'", r"\1 cannot stand here", text, flags=re.DOTALL)
    text = re.sub(r"token recognition error at: '(.*)'", r"\1 cannot be read", text, flags=re.DOTALL)
    return re.sub(r"(?:mismatched|extraneous) input ('.*?')", r"\1 is not expected here", text)


def failed(message: str, part: Code, source: str) -> ExpressionError:
    """An evaluation error of the engine in our words; it knows no column."""
    missing = re.search(r'Key not found in map : "?(.*?)"?\Z', message)
    if missing:
        return ExpressionError(
            f"there is no key {missing[1]!r}", source=source, offset=part.offset, code="expression.no_such_key",
            hint="has(x.y) tells whether a key is there; x.?y.orValue(…) gives a default",
        )  # fmt: skip
    return ExpressionError(
        _clean(message, shared(part).placeholders), source=source, offset=part.offset, code="expression.failed"
    )


def _clean(message: str, placeholders: Mapping[str, str]) -> str:
    """Without the engine's status words, placeholders and mangled operators."""
    for form in _OVERLOADS:
        if overload := form.search(message):
            name = next(g for i, g in enumerate(overload.groups(), 1) if i != form.groupindex["receiver"] and g)
            types = _types(f"{overload['receiver']},{overload[overload.lastindex or 0]}")
            if name == ORDERED:
                return f"only a list or a map can be walked over, not {types}"
            return f"{_OPERATORS.get(name, name)} cannot be applied to {types}"
    if "Applying SELECT to non-message type" in message:
        return "a field is read of something that is not a map"
    if "Unable to convert function return value" in message:
        return "the result is an optional; end it with .orValue(…)"
    if "<iter_range>" in message:
        return "only a list or a map can be walked over"
    if "<jump_condition>" in message:
        return "a condition must be true or false"
    text = re.sub(r"^(?:[A-Z_]+: )+|\s*\[[A-Z_]+\]\s*\Z", "", message).strip()
    index = re.search(r"Index error: index=(-?\d+) size=(\d+)", text)
    if index:
        return f"the list has {index[2]} items, there is none at [{index[1]}]"
    text = re.sub(r"No value with name \"(\w+)\" found in Activation", "a name has no value here", text)
    back = {short: name for name, short in placeholders.items()}
    return re.sub(r"'([A-Z])'", lambda m: f"'{back.get(m[1], m[1])}'", text)


def _types(text: str) -> str:
    """``list(int), string`` as ``list and string``."""
    while (plain := re.sub(r"\([^()]*\)|<[^<>]*>", "", text)) != text:
        text = plain
    names = [name.strip() for name in text.split(",") if name.strip()]
    return " and ".join(_TYPES.get(name, "any" if name == "dyn" else name) for name in names)


FUNCTIONS: tuple[str, ...] = (
    "all", "bool", "bytes", "charAt", "contains", "distinct", "double", "duration", "endsWith", "exists", "exists_one", "filter",
    "flatten", "format", "has", "indexOf", "int", "join", "lastIndexOf", "lowerAscii", "map", "matches", "orValue", "quote",
    "range", "replace", "reverse", "secret", "size", "slice", "sort", "split", "startsWith", "string", "substring", "timestamp", "trim",
    "type", "uint", "upperAscii", "abs", "bitAnd", "ceil", "floor", "greatest", "isNaN", "least", "round", "sign", "sqrt",
    "trunc", "encode", "decode", "getFullYear", "getMonth", "getDate", "getHours", "getMinutes", "getSeconds", "bind",
)  # fmt: skip
"""What an expression may call; for suggestions."""
