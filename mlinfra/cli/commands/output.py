"""``mlinfra output``: the spec's outputs as they were at the last apply."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import click

from mlinfra.cli.render_json import outputs_json, value_json
from mlinfra.cli.render_state import outputs_text, raw_text, value_text
from mlinfra.cli.session import Session, common
from mlinfra.model.errors import MlinfraError
from mlinfra.model.values import SecretDigest, Value, holds


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
    if name in state.sensitive_outputs:
        value = _opened(name, value, asked=raw or session.json, open_=lambda: upkeep.open_output(session.options(), name))
    text = raw_text(value)
    if raw and text is None:
        raise MlinfraError.of("cli.output_not_shown", f"the output {name!r} is no string, number or boolean", hint="use --json")
    if session.json:
        return session.data(value_json(value))
    session.line(text if raw and text is not None else value_text(value, width=session.terminal.width))
    return 0


def _opened(name: str, value: Value, *, asked: bool, open_: Callable[[], Value]) -> Value:
    """A sensitive output for the one who asks for it by name. MlinfraError when it is not kept, or not asked for."""
    if not asked:
        hint = "--raw or --json shows it, when the state keeps it (state.encryption)"
        raise MlinfraError.of("cli.output_not_shown", f"the output {name!r} is sensitive", hint=hint)
    opened = open_()
    if holds(opened, SecretDigest):
        hint = "configure state.encryption and apply again: then sensitive outputs are kept, encrypted"
        why = "its value is not kept: this state is not encrypted, or was not when it was recorded"
        raise MlinfraError.of("cli.output_not_shown", f"the output {name!r} is sensitive, and {why}", hint=hint)
    return opened
