"""``mlinfra output``: the spec's outputs as they were at the last apply."""

from __future__ import annotations

import difflib

import click

from mlinfra.cli.render_json import outputs_json, value_json
from mlinfra.cli.render_state import outputs_text, raw_text, value_text
from mlinfra.cli.session import Session, common
from mlinfra.model.errors import MlinfraError


@click.command("output")
@common
@click.option("--raw", is_flag=True, help="Without quotes, for scripts.")
@click.argument("name", required=False)
def command(session: Session, name: str | None, raw: bool) -> int:
    """Show the outputs, or the one called NAME, as they were at the last apply."""
    from mlinfra import upkeep

    if raw and name is None:
        raise click.UsageError("--raw needs the NAME of an output")
    state = upkeep.read_state(session.options())
    outputs = state.outputs
    if name is None:
        if session.json:
            return session.data(outputs_json(outputs, state.sensitive_outputs))
        session.line(outputs_text(outputs, state.sensitive_outputs, width=session.terminal.width) or "There are no outputs.")
        return 0
    if name not in outputs:
        near = difflib.get_close_matches(name, list(outputs), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(outputs)) or 'none; has it been applied?'}"
        raise MlinfraError.of("cli.no_output", f"there is no output {name!r}", hint=hint)
    value = outputs[name]
    text = raw_text(value)
    if name in state.sensitive_outputs or (raw and text is None):
        why = "is sensitive, and its value is not kept" if name in state.sensitive_outputs else "is no string, number or boolean"
        raise MlinfraError.of("cli.output_not_shown", f"the output {name!r} {why}", hint="" if not raw else "use --json")
    if session.json:
        return session.data(value_json(value))
    session.line(text if raw and text is not None else value_text(value, width=session.terminal.width))
    return 0
