"""Fails when schemas/ is not what mlinfra generates today; says how to bring it up to date."""

from __future__ import annotations

import filecmp
import sys
import tempfile
from pathlib import Path

from mlinfra.spec import json_schema

WRITTEN_BY_HAND = {"plan.schema.json"}
"""Of the plan's JSON: from the documentation of Terraform's format; tests hold every golden plan against it."""

COMMITTED = Path(__file__).resolve().parent.parent / "schemas"


def stale(committed: Path, generated: Path) -> list[str]:
    """Names of the files that differ, are missing or are left over, sorted."""
    names = {p.name for folder in (committed, generated) for p in folder.glob("*.json")} - WRITTEN_BY_HAND
    _, different, unreadable = filecmp.cmpfiles(committed, generated, sorted(names), shallow=False)
    return sorted({*different, *unreadable})


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        json_schema.write(Path(folder))
        names = stale(COMMITTED, Path(folder))
    if names:
        print(f"schemas/ is stale ({', '.join(names)}): run make docs", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
