"""The state's formats: a state of a newer one is refused untouched, one of an older is brought up while it is read.

A blob is a header line and lines of JSON. Each migration takes both, as JSON trees, from one format to the next; what a
migrated state is written as, from its next snapshot on, is today's format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError

FORMAT = 2
"""1: the first. 2: segments say how long they are; snapshots carry the last holder's epoch and the fences."""

Tree = dict[str, Any]
Migration = Callable[[Tree, list[Tree]], tuple[Tree, list[Tree]]]


def _one_to_two(header: Tree, lines: list[Tree]) -> tuple[Tree, list[Tree]]:
    if "snapshot" in header:
        return {"epoch": 0, "fences": [], **header}, lines
    return header, lines


MIGRATIONS: Mapping[int, Migration] = {1: _one_to_two}
"""By the format that each starts from."""


def upgrade(header: Tree, lines: list[Tree]) -> tuple[Tree, list[Tree]]:
    """A blob of any older format as today's. StateError when no way leads here."""
    while (written := header["format"]) != FORMAT:
        migration = MIGRATIONS.get(written)
        if migration is None:
            raise StateError(
                Diagnostic(
                    code="state.too_old",
                    message=f"the state is in the format {written!r} (mlinfra {header.get('mlinfra')}), which cannot be read any more",
                    hint="apply once with a version in between; nothing was changed",
                )
            )
        header, lines = migration(dict(header), lines)
        header["format"] = written + 1
    return header, lines


def refuse_newer(header: Mapping[str, Any]) -> None:
    """StateError for what a newer mlinfra wrote."""
    written = header.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise StateError(
            Diagnostic(
                code="state.newer",
                message=f"the state was written by mlinfra {header.get('mlinfra')}, in a newer format than this one reads",
                hint="use that version of mlinfra, or a newer one; nothing was changed",
            )
        )
