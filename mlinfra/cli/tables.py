"""Tables in plain text: columns as wide as they need, the last one cut to the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.cli.terminal import PLAIN, Style, harmless


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, style: Style = PLAIN, width: int = 0) -> str:
    """``rows`` under ``heads``. ``width`` 0: nothing is cut (a pipe reads it)."""
    cells = [[harmless(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(heads[i]), *(len(r[i]) for r in cells)) if cells else len(heads[i]) for i in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        text = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        return text[: width - 1] + "…" if width and len(text) > width else text

    return "\n".join([style.bold(line([h.upper() for h in heads])), *(line(row) for row in cells)])
