"""``stacks:``: where another stack's state is, and what its outputs are worth here.

A stack without ``store`` lies in the same store as this one's state; ``project`` and ``env`` are this one's unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mlinfra.model.errors import MlinfraError
from mlinfra.model.validation import refusal
from mlinfra.model.values import UNKNOWN, Map, Secret, SecretDigest, Value, is_known, leaves, within
from mlinfra.resolve.expressions import NameProblem
from mlinfra.spec.kind_errors import diagnostics
from mlinfra.spec.positions import Spans
from mlinfra.spec.suggest import did_you_mean
from mlinfra.state.stores.opening import settings_of

if TYPE_CHECKING:
    from mlinfra.resolve.scope import Scope

StackReader = Callable[[str, Map, str, str], Map]
"""The outputs of a stack: its name here, its ``state:`` block, its project and its environment. MlinfraError when they cannot be had,
pydantic's ValidationError for a block that cannot be."""


def read(scope: Scope, name: str) -> Value:
    """The outputs of the stack ``name`` as a Map; UNKNOWN when nobody is to be asked, or after a problem, which is noted."""
    assert scope.spec.stacks is not None
    block = scope.spec.stacks[name]
    settings = scope.evaluate(block, block.span)
    problems = scope.world.problems
    for path, leaf in leaves(settings):
        if isinstance(leaf, Secret):
            hint = "credentials come from each store's own chain"
            problems.add("expression.sensitive", f"stacks.{name}.{path[0]} cannot be sensitive", (block, str(path[0])), hint)
            return UNKNOWN
        if leaf is not UNKNOWN and not is_known(leaf):
            hint = "where a stack is must be known before anything is made; use variables or constants"
            message = f"stacks.{name}.{path[0]} uses a value that is known only after apply"
            problems.add("expression.not_known", message, (block, str(path[0])), hint)
            return UNKNOWN
    project = str(settings.get("project") or scope.world.project)
    environment = str(settings.get("env") or scope.world.environment)
    state = Map({k: v for k, v in settings.items() if k not in ("project", "env")})
    if "store" not in state:
        state = Map({**scope.world.own_state(), **state})
    if any(leaf is UNKNOWN for leaf in within((settings, state))):
        return UNKNOWN
    try:
        settings_of(state)
        reader = scope.world.read_stack
        return reader(name, state, project, environment) if reader is not None else UNKNOWN
    except refusal() as error:
        from mlinfra.state.stores.settings import BY_STORE

        model = BY_STORE[str(state["store"])]
        for problem in diagnostics("state store", error, f"stacks.{name}", Spans(block), model=model):
            problems.note(problem)
    except MlinfraError as error:
        for d in error.diagnostics:
            at = (block, str(d.path[0])) if d.path and d.path[0] in block else block.span
            problems.add(d.code, d.message, at, d.hint)
    return UNKNOWN


def output(outputs: Value, name: str, wanted: str) -> Value:
    """One output of the stack ``name``. NameProblem when there is none of that name, or its value is not kept."""
    if not isinstance(outputs, Map):
        return UNKNOWN
    if wanted not in outputs:
        hint = did_you_mean(wanted, outputs, allowed="outputs") if outputs else "it has no outputs"
        raise NameProblem("reference.unknown_output", f"the stack {name!r} has no output {wanted!r}", hint)
    found = outputs[wanted]
    if any(isinstance(leaf, SecretDigest) for leaf in within(found)):
        raise NameProblem(
            "stack.secret_not_kept",
            f"the output {wanted!r} of the stack {name!r} is sensitive, and its state keeps only a digest",
            'configure state.encryption in that stack and apply it, or read the value with secret("…")',
        )
    return found
