"""``mlinfra fmt``: write the spec's files in one style."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from mlinfra.cli.session import Session, common
from mlinfra.model.errors import MlinfraError


@click.command("fmt")
@common
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a file would change.")
@click.option("--diff", is_flag=True, help="Show what changes.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def command(session: Session, check: bool, diff: bool, files: tuple[Path, ...]) -> int:
    """Write the spec's files (or FILES) in one style; prints the names of those that changed. Meaning and comments stay."""
    from mlinfra.spec.format import format_text

    changed: list[str] = []
    for file in files or _spec_files(session.directory):
        try:
            before = file.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise MlinfraError.of("cli.unreadable", f"{file} cannot be read: {reason}") from error
        after = format_text(before, str(file))
        if after == before:
            continue
        changed.append(str(file))
        if not session.json:
            session.line(str(file))
        if diff and not session.json:
            session.line("".join(_difference(before, after, str(file))).rstrip("\n"))
        if not check:
            file.write_bytes(after.encode("utf-8"))
    if session.json:
        session.data({"changed": changed})
    return 1 if check and changed else 0


def _spec_files(directory: Path) -> list[Path]:
    if directory.is_file():
        return [directory]
    main = directory / "mlinfra.yaml"
    if main.is_file():
        return [main]
    found = sorted(p for p in directory.glob("*.y*ml") if p.suffix in (".yaml", ".yml")) if directory.is_dir() else []
    if not found:
        raise MlinfraError.of("spec.not_found", f"there is no spec in {directory.resolve()}", hint="mlinfra init writes one")
    return found


def _difference(before: str, after: str, name: str) -> list[str]:
    return list(difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name} (formatted)"))
