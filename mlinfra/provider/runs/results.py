"""What a run leaves: metrics, and output with every secret taken out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mlinfra.model.values import Secret, freeze, leaves, thaw, transform
from mlinfra.provider.failures import Invalid
from mlinfra.provider.runs.words import variable

LAST_LINES = 20
"""How many lines of output an error quotes."""


def parse_metrics(text: str, output: str) -> dict[str, Any]:
    """A metrics file's numbers and texts; NaN and infinities, which JSON has no word for, become None."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Invalid(f"metrics.json in the output {output} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Invalid(f"metrics.json in the output {output} must be an object of names and numbers")
    finite: dict[str, Any] = thaw(
        transform(freeze(found), lambda v: None if isinstance(v, float) and not math.isfinite(v) else v)
    )
    return finite


def nothing_written(command: str, output: str) -> Invalid:
    """The failure of a run that left one of its outputs empty."""
    return Invalid(
        f"`{command}` wrote nothing to its output {output}",
        hint=f"write into the folder that ${variable('OUTPUT', output)} names, or leave it out of `outputs`",
    )


def hider(environment: Mapping[str, str | Secret]) -> Callable[[str], str]:
    """What blanks every secret (and each line of one that has several) in a line of output."""
    values = [str(leaf.reveal()) for _, leaf in leaves(freeze(dict(environment))) if isinstance(leaf, Secret)]
    pieces = sorted({p.strip() for v in values for p in v.splitlines() if p.strip()}, key=len, reverse=True)
    if not pieces:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, pieces)))
    return lambda text: pattern.sub("(sensitive)", text)


def quoted(lines: Iterable[str]) -> str:
    """The last lines of output as the tail of an error's sentence."""
    shown = "\n".join(f"    {line}" for line in lines)
    return f":\n{shown}" if shown else "; it printed nothing"
