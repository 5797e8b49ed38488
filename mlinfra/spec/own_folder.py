"""``.mlinfra`` beside the spec: local state, local data and fetched modules. Nobody's source code."""

from __future__ import annotations

from pathlib import Path

HOME = ".mlinfra"


def make_own_folder(base: Path) -> Path:
    """The folder, which git ignores. OSError when it cannot be made."""
    folder = base / HOME
    ignore = folder / ".gitignore"
    if not ignore.exists():
        folder.mkdir(exist_ok=True)
        ignore.write_text("*\n")
    return folder
