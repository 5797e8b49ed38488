"""``mlinfra graph``: what depends on what."""

from __future__ import annotations

import shutil
import subprocess

import click

from mlinfra.cli.render_graph import dot, mermaid
from mlinfra.cli.session import Session, common
from mlinfra.model.errors import MlinfraError


@click.command("graph")
@common
@click.option("--format", "form", type=click.Choice(["dot", "mermaid", "svg"]), default="dot", help="svg needs Graphviz.")
def command(session: Session, form: str) -> int:
    """Show which resource needs which; an arrow points to what is needed."""
    from mlinfra import upkeep

    graph = upkeep.dependency_graph(session.options())
    if session.json:
        return session.data({address: list(needs) for address, needs in graph.items()})
    if form == "svg":
        session.terminal.text(_svg(dot(graph)))
    else:
        session.line(mermaid(graph) if form == "mermaid" else dot(graph))
    return 0


def _svg(text: str) -> str:
    program = shutil.which("dot")
    if program is None:
        hint = "install Graphviz (apt-get install graphviz, brew install graphviz), or use --format mermaid"
        raise MlinfraError.of("cli.no_graphviz", "--format svg needs Graphviz's `dot`, which is not on the PATH", hint=hint)
    done = subprocess.run([program, "-Tsvg"], input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise MlinfraError.of("cli.graphviz_failed", f"Graphviz could not draw the graph: {done.stderr.strip()[:300]}")
    return done.stdout
