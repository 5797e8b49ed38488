"""The text that is really compiled for an expression, and the way back to the columns of what the user wrote.

Every name of the spec is replaced by a placeholder, so that expressions that differ in the names of resources only share
one compiled program, and names of types and functions cannot collide. The engine walks over a map in an order that differs
from process to process: ``.map(`` and ``.filter(`` get a step before them that puts the keys in order, because the same
spec must always give the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from mlinfra.model.dataclass import dataclass
from mlinfra.resolve.template import SECRET, Code

ORDERED = "ordered_"
"""The function that gives a list as it is, and the keys of a map in order."""

_STEP = f".{ORDERED}()"
_PLACEHOLDERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Shared:
    """``text`` is compiled; ``placeholders`` by name; ``walks`` are the offsets in the original where a step was put in."""

    text: str
    placeholders: Mapping[str, str]
    walks: tuple[int, ...]

    def original(self, line: int, column: int) -> int:
        """The offset in the original of a place in ``text``; ``line`` and ``column`` count from 1."""
        lines = self.text.split("\n")
        offset = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
        for walk in self.walks:
            if offset > walk:
                offset = max(walk, offset - len(_STEP))
        return offset


@lru_cache(maxsize=65536)
def shared(part: Code) -> Shared:
    """What is compiled for ``part``. A placeholder takes the room of its name, so that columns stay."""
    names = list(dict.fromkeys(str(chain.names[0]) for chain in part.chains))
    free = [p for p in _PLACEHOLDERS if p not in part.identifiers]
    given = (
        dict(zip(names, free, strict=False))
        if len(names) <= len(free)
        else {name: "SECRET" if name == SECRET else name for name in names}
    )
    edits = [(c.start, c.root_end, given[str(c.names[0])].ljust(c.root_end - c.start)) for c in part.chains]
    for c in part.chains:
        if c.names[0] == SECRET:  # a call becomes an index of the same length: A["env:NAME"]
            opening = part.text.index("(", c.root_end)
            edits += [(opening, opening + 1, "["), (c.end - 1, c.end, "]")]
    edits += [(walk, walk, _STEP) for walk in part.walks]
    out: list[str] = []
    position = 0
    for start, end, text in sorted(edits):
        out += [part.text[position:start], text]
        position = end
    return Shared("".join([*out, part.text[position:]]), given, part.walks)
