"""Command lines of the user's code, and the environment variables by which it finds what it reads and writes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from mlinfra.model.patterns import pattern
from mlinfra.model.values import Map, Secret, Value, thaw
from mlinfra.provider.failures import Invalid

_SHELL = pattern(r"[|&;<>()$`*?~#\n]|\A\s*\w+=")


def argv(command: str, arguments: Sequence[str] = ()) -> list[str]:
    """The words of a command line with ``arguments`` added; through ``sh -c`` where it needs a shell. Invalid when its quotes
    do not close or it is empty."""
    if _SHELL.search(command):
        return ["sh", "-c", " ".join([command, *map(shlex.quote, arguments)])]
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Invalid(f"the command {command!r} cannot be read: {str(error).lower()}") from None
    if not words:
        raise Invalid("the command is empty")
    return [*words, *arguments]


def parameters(params: Map) -> tuple[str, ...]:
    """``--name value`` for each; a list gives several values, None nothing at all."""
    words: list[str] = []
    for name, value in params.items():
        if value is not None:
            words += [f"--{name}", *map(text, value if isinstance(value, tuple) else (value,))]
    return tuple(words)


def text(value: Value) -> str:
    """A value as a command line or an environment variable holds it: ``true``, ``0.5``, JSON for a map. A secret is refused: its
    text would be ``(sensitive)``, and what is asked for here is often stored."""
    if isinstance(value, Secret):
        raise Invalid("a secret cannot stand here", hint="pass it by env")
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(thaw(value)) if isinstance(value, Mapping) else str(value)


def setting(value: Value) -> str:
    """What an environment variable is given in the one call that starts the user's code: a secret is revealed."""
    return text(value.reveal() if isinstance(value, Secret) else value)


def variable(direction: str, name: str) -> str:
    """``variable("INPUT", "train-set")`` is ``MLINFRA_INPUT_TRAIN_SET``."""
    return f"MLINFRA_{direction}_" + re.sub(r"\W", "_", name).upper()


def requirement_lines(text: str) -> tuple[str, ...]:
    """The lines of a requirements file that say something."""
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
