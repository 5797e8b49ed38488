"""``mlinfra validate``: check the spec without touching anything."""

from __future__ import annotations

import click

from mlinfra.cli.render_json import FORMAT_VERSION, diagnostic_json
from mlinfra.cli.session import Session, common
from mlinfra.model.diagnostic import Severity
from mlinfra.model.errors import MlinfraError


@click.command("validate")
@common
def command(session: Session) -> int:
    """Check the spec, offline: every problem in one run, each with its place."""
    from mlinfra import workflow

    try:
        validated = workflow.validate(session.options())
    except MlinfraError as error:
        if not session.json:
            raise
        errors = sum(1 for d in error.diagnostics if d.severity is Severity.ERROR)
        diagnostics = [diagnostic_json(d) for d in error.diagnostics]
        session.data({"format_version": FORMAT_VERSION, "valid": False, "error_count": errors, "diagnostics": diagnostics})
        return error.exit_code
    if session.json:
        warnings = [diagnostic_json(d) for d in validated.warnings]
        return session.data({"format_version": FORMAT_VERSION, "valid": True, "error_count": 0, "diagnostics": warnings})
    session.warn(validated.warnings)
    components, resources = len(validated.stack.components), len(validated.stack.resources)
    style = session.terminal.style
    session.line(f"{style.green('The spec is valid.')} Components: {components}; native resources: {resources}.")
    return 0
