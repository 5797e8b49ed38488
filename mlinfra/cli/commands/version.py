"""``mlinfra version``, when more was asked than the bare version (which ``__main__`` answers itself)."""

from __future__ import annotations

import platform

import click

from mlinfra import __version__
from mlinfra.cli.session import Session, common


@click.command("version")
@common
def command(session: Session) -> int:
    """Print the version."""
    if session.json:
        return session.data({"mlinfra": __version__, "python": platform.python_version(), "platform": platform.platform()})
    session.line(f"mlinfra {__version__}")
    return 0
