"""``mlinfra schema``: the spec's JSON Schema."""

from __future__ import annotations

from pathlib import Path

import click

from mlinfra.cli.session import Session, common


@click.command("schema")
@common
@click.option("--write", "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Write it there.")
def command(session: Session, folder: Path | None) -> int:
    """Print the spec's JSON Schema, which editors use for completion and checks, or write it with --write DIR."""
    from mlinfra.spec import json_schema

    if folder is None:
        return session.data(json_schema.spec_schema())
    json_schema.write(folder)
    session.line(f"Wrote {folder}.")
    return 0
