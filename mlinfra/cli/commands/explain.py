"""``mlinfra explain``: a kind's fields, or what a resource becomes."""

from __future__ import annotations

import difflib

import click

from mlinfra.cli.render_explain import address_text, kind_json, kind_text
from mlinfra.cli.render_json import value_json
from mlinfra.cli.session import Session, common
from mlinfra.cli.tables import table
from mlinfra.model.errors import MlinfraError


@click.command("explain")
@common
@click.argument("what", required=False, metavar="[KIND|ADDRESS]")
def command(session: Session, what: str | None) -> int:
    """Explain a KIND's fields and outputs, or show what the resource at ADDRESS becomes on its target."""
    from mlinfra.kinds import catalog

    t = session.terminal
    if what is None:
        kinds = [(name, catalog.kind(name).summary) for name in catalog.NAMES]
        if session.json:
            return session.data([{"kind": name, "summary": summary} for name, summary in kinds])
        session.line(table(("kind", "what it is"), kinds, style=t.style, width=t.table_width))
        return 0
    if what in catalog.NAMES:
        kind = catalog.form(what)
        if session.json:
            return session.data(kind_json(what, kind))
        session.line(kind_text(what, kind, style=t.style, width=t.width))
        return 0
    return _address(session, what, catalog.NAMES)


def _address(session: Session, what: str, kinds: tuple[str, ...]) -> int:
    from mlinfra import upkeep, workflow

    options = session.options()
    try:
        component, resources = upkeep.explain_address(options, what)
        known = [*kinds, *workflow.validate(options).stack.resources] if not resources else []
    except MlinfraError as error:
        if error.diagnostics[0].code != "spec.not_found":
            raise
        component, resources, known = None, (), [*kinds]
    if not resources:
        near = difflib.get_close_matches(what, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"kinds: {', '.join(kinds)}"
        raise MlinfraError.of("cli.not_explained", f"{what} is neither a kind nor a resource of this spec", hint=hint)
    if session.json:
        return session.data(
            {
                "component": component.name if component else None,
                "kind": component.kind if component else None,
                "target": component.target if component else None,
                "resources": [
                    {"address": r.address, "type": r.type, "provider": r.provider, "attributes": value_json(r.attributes)}
                    for r in resources
                ],
            }
        )
    t = session.terminal
    session.line(address_text(component, resources, style=t.style, width=t.width))
    return 0
