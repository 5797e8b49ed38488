"""``mlinfra providers``: what is installed, and what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlinfra.cli.session import Session, common
from mlinfra.cli.tables import table
from mlinfra.model.errors import MlinfraError

if TYPE_CHECKING:
    from mlinfra.provider.registry import Registry


@click.command("providers")
@common
@click.argument("name", required=False)
def command(session: Session, name: str | None) -> int:
    """List the installed providers; with NAME, the kinds that it makes and its native types."""
    from mlinfra.provider.registry import Registry

    registry = Registry()
    if name is not None:
        found = _described(registry, name, strict=True)
        if session.json:
            return session.data(found)
        session.line(f"{found['name']}\n\n  kinds:\n" + "\n".join(f"    {k}" for k in found["kinds"]))
        session.line("\n  native types:\n" + "\n".join(f"    {t}" for t in found["types"]))
        return 0
    listed = [_described(registry, n) for n in registry.names()]
    if session.json:
        return session.data(listed)
    rows = [
        (p["name"], p["problem"], "", "") if p["problem"] else (p["name"], "ready", str(len(p["kinds"])), str(len(p["types"])))
        for p in listed
    ]
    t = session.terminal
    session.line(table(("provider", "state", "kinds", "types"), rows, style=t.style, width=t.table_width))
    return 0


def _described(registry: Registry, name: str, *, strict: bool = False) -> dict[str, Any]:
    try:
        provider = registry.get(name)
    except MlinfraError as error:
        if strict:
            raise
        return {"name": name, "kinds": [], "types": [], "problem": error.diagnostics[0].message}
    return {"name": name, "kinds": sorted(provider.lowerings), "types": sorted(provider.types), "problem": ""}
