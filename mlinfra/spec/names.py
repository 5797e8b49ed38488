"""What things in a spec may be called."""

from __future__ import annotations

import re

from mlinfra.model.address import NAME
from mlinfra.model.patterns import pattern

CEL_KEYWORDS = frozenset({"in", "null", "true", "false"})
"""Words that CEL refuses everywhere, also after a dot."""
CEL_RESERVED = CEL_KEYWORDS | {
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "namespace", "package",
    "return", "var", "void", "while",
}  # fmt: skip
"""Words that cannot start a CEL expression (https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax)."""
SCOPE = frozenset({"each", "vars", "env", "project", "module", "stacks", "self"})
"""Names that expressions give a meaning of their own."""

ENVIRONMENT = pattern(r"[a-z][a-z0-9_-]*\Z")
PROJECT = pattern(r"[a-z][a-z0-9_-]*\Z")
TARGET = pattern(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?\Z")
NATIVE_KIND = pattern(r"[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*\Z")

_LONGEST = 200


def problem_with(name: str, what: str, *, starts_expression: bool = False) -> tuple[str, str] | None:
    """Sentence and hint when ``name`` cannot name a ``what``; ``starts_expression`` for names that stand first in ``${…}``."""
    if len(name) > _LONGEST:
        return f"the name of a {what} has at most {_LONGEST} characters", "shorten it"
    if not NAME.match(name):
        return f"{name!r} cannot name a {what}: use lower-case letters, digits and _, a letter first", _suggestion(name)
    if starts_expression and name in SCOPE:
        return f"{name!r} cannot name a {what}: ${{{name}…}} has a meaning of its own", f"rename it, like my_{name}"
    if name in (CEL_RESERVED if starts_expression else CEL_KEYWORDS):
        return f"{name!r} cannot name a {what}: it is a reserved word of expressions", f"rename it, like my_{name}"
    return None


def _suggestion(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    fixed = re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_").lstrip("0123456789_")
    return f"did you mean {fixed!r}?" if NAME.match(fixed) else ""
