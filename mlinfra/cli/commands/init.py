"""``mlinfra init``: a starter spec, or a check that this one's providers are there."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mlinfra.cli.session import Session, common
from mlinfra.model.errors import MlinfraError

_STARTER = """\
# mlinfra plan shows what would change; mlinfra apply makes it so; mlinfra destroy takes it away.
# mlinfra explain KIND tells what a kind can do.
version: 1
project: {project}

variables:
  owner: {{type: string, default: me, description: who looks after this}}

environments:
  dev: {{target: local}}

resources:
  raw:
    kind: bucket
    versioning: true
    tags: {{owner: "${{vars.owner}}"}}

outputs:
  raw_uri: ${{raw.uri}}
"""


@click.command("init")
@common
def command(session: Session) -> int:
    """Write a starter spec where there is none; otherwise check that the spec's providers are installed and can be used."""
    if session.directory.is_file() or _has_spec(session.directory):
        return _check(session)
    try:
        session.directory.mkdir(parents=True, exist_ok=True)
        file = session.directory / "mlinfra.yaml"
        file.write_text(_STARTER.format(project=_project(session.directory)), encoding="utf-8")
    except OSError as error:
        raise MlinfraError.of("cli.unwritable", f"{session.directory} cannot be written to: {error.strerror}") from error
    if session.json:
        return session.data({"created": str(file)})
    session.line(f"Wrote {file}. Now: mlinfra plan")
    return 0


def _has_spec(directory: Path) -> bool:
    return any(p.suffix in (".yaml", ".yml") for p in directory.glob("*.y*ml"))


def _project(directory: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return name if name[:1].isalpha() else f"project-{name}".rstrip("-")


def _check(session: Session) -> int:
    from mlinfra import workflow

    validated = workflow.validate(session.options())
    providers = sorted({r.provider for r in validated.stack.resources.values()})
    if session.json:
        return session.data({"providers": providers})
    session.warn(validated.warnings)
    session.line(f"The spec is valid; its providers are installed: {', '.join(providers) or 'it needs none'}.")
    return 0
