"""Where providers are: the entry points of the group ``mlinfra.providers``, as names and ``module:attribute``.

What our own distribution declares is read from its ``entry_points.txt`` itself: importing :mod:`importlib.metadata` (with the e-mail and
zip packages that it needs) and looking through everything that is installed took a tenth of a command's start.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress
from pathlib import Path

GROUP = "mlinfra.providers"


@functools.cache
def ours() -> dict[str, str]:
    """The providers of our own distribution; none where it is not installed as a folder that can be read."""
    for place in sys.path:
        with suppress(OSError), os.scandir(place or ".") as found:  # a tenth of what Path.glob takes, where much is installed
            for entry in found:
                if entry.name.startswith("mlinfra_iac-") and entry.name.endswith(".dist-info"):
                    return _of_group(Path(entry.path, "entry_points.txt").read_text(encoding="utf-8"))
    return {}


@functools.cache
def installed() -> dict[str, str]:
    """Every installed provider; where two have one name, ours."""
    from importlib.metadata import entry_points

    return {**{entry.name: entry.value for entry in entry_points(group=GROUP)}, **ours()}


def _of_group(text: str) -> dict[str, str]:
    """The lines of our group: https://packaging.python.org/en/latest/specifications/entry-points/#file-format"""
    found: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == GROUP and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found[name.strip()] = value.strip()
    return found
