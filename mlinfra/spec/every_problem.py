"""All mistakes of one component in one go.

pydantic checks how fields go together only when every field is right by itself. So what is wrong is passed over as a value that
is not known yet, which passes every check, and the rest is looked at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlinfra.kinds import catalog
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.validation import refusal
from mlinfra.model.values import UNKNOWN, Map, Path, Value, put
from mlinfra.spec.kind_errors import diagnostics
from mlinfra.spec.positions import Spans

if TYPE_CHECKING:
    from pydantic import ValidationError

_ROUNDS = 6


def every_problem(kind_name: str, error: ValidationError, component: str, properties: Map, spans: Spans) -> list[Diagnostic]:
    """The diagnostics for ``error``, which ``properties`` gave, and for what shows when its mistakes are passed over."""
    found: list[Diagnostic] = []
    fresh = diagnostics(kind_name, error, component, spans)
    left: Value = properties
    for _ in range(_ROUNDS):
        found += fresh
        for problem in fresh:
            unwanted = problem.code == "spec.unknown_key"
            left = _without(left, problem.path) if unwanted else put(left, problem.path, UNKNOWN)
        if not isinstance(left, Map):
            break
        try:
            catalog.form(kind_name).model_validate(left)
            break
        except refusal() as again:
            fresh = [d for d in diagnostics(kind_name, again, component, spans) if not any(_follows(d, f) for f in found)]
        if not fresh:
            break
    return found


def _follows(problem: Diagnostic, earlier: Diagnostic) -> bool:
    """Whether ``problem`` may be there only because of ``earlier``: at the same place; or about a whole that has lost a key which
    was surely meant to be another one."""
    if _within(problem.path, earlier.path):
        return True
    return earlier.code == "spec.unknown_key" and _within(earlier.path[:-1], problem.path)


def _within(path: Path, parent: Path) -> bool:
    return path[: len(parent)] == parent


def _without(tree: Value, path: Path) -> Value:
    step, rest = path[0], path[1:]
    if isinstance(tree, Map) and isinstance(step, str) and step in tree:
        if rest:
            return Map({**tree, step: _without(tree[step], rest)})
        return Map({k: v for k, v in tree.items() if k != step})
    if isinstance(tree, tuple) and isinstance(step, int) and step < len(tree) and rest:
        return (*tree[:step], _without(tree[step], rest), *tree[step + 1 :])
    return tree
