"""The chosen environment: its target, its providers' settings and its state store, merged over the spec's."""

from __future__ import annotations

from mlinfra.model.diagnostic import Diagnostic, Severity
from mlinfra.model.errors import SpecError
from mlinfra.model.values import EMPTY, UNKNOWN, Map, Ref, secret_refs, within
from mlinfra.resolve.resolved import Inputs
from mlinfra.resolve.scope import Scope
from mlinfra.spec.document import EnvironmentBlock, Spec
from mlinfra.spec.positions import YamlMap
from mlinfra.spec.suggest import did_you_mean

DEFAULT = "dev"
LOCAL_STATE = Map(store="local")


def choose(spec: Spec, inputs: Inputs) -> EnvironmentBlock | None:
    """The environment that was asked for; none asked for: ``dev`` where the spec has it. SpecError when there is no such one."""
    name = inputs.environment or DEFAULT
    found = spec.environments.get(name)
    if found is None and inputs.environment:
        if spec.environments:
            hint = did_you_mean(name, spec.environments, allowed="environments")
            everything = f"; the spec has {', '.join(spec.environments)}" if "did you mean" in hint else ""
        else:
            hint, everything = "the spec has no environments block; leave --env out", ""
        raise SpecError(
            Diagnostic(code="environment.unknown", message=f"there is no environment {name!r}", hint=hint + everything)
        )
    return found


def unchosen(spec: Spec, chosen: EnvironmentBlock | None) -> tuple[Diagnostic, ...]:
    """A warning where the spec has environments and this is none of them: a person who forgot --env must see that."""
    if chosen is not None or not spec.environments:
        return ()
    names = ", ".join(spec.environments)
    return (
        Diagnostic(
            code="environment.none_chosen",
            severity=Severity.WARNING,
            message=f"none of the environments ({names}) is chosen: what they say does not count here",
            span=next(iter(spec.environments.values())).span,
            hint=f"choose one with --env; one that is called {DEFAULT} is taken where none is named",
        ),
    )


def providers(scope: Scope, environment: EnvironmentBlock | None) -> dict[str, Map]:
    """Settings by provider instance. Expressions in them must be known at plan time."""
    found: dict[str, Map] = {}
    for block in (scope.spec.providers, environment.providers if environment else None):
        for name in block or ():
            assert block is not None
            found[name] = Map({**found.get(name, EMPTY), **_settings(scope, block, name)})
    return found


def state(scope: Scope, environment: EnvironmentBlock | None) -> Map:
    """Where the state lives. Another ``store`` in the environment replaces the spec's block, else its keys are merged in."""
    found = _known(scope, scope.spec.state)
    own = _known(scope, environment.state if environment else None)
    if own.get("store", found.get("store")) != found.get("store"):
        found = EMPTY
    return Map({**LOCAL_STATE, **found, **own})


def _settings(scope: Scope, block: YamlMap, name: str) -> Map:
    value = scope.evaluate(block[name], (block, name))
    _refuse_unknown(scope, value, block[name], f"providers.{name}")
    return value if isinstance(value, Map) else EMPTY


def _known(scope: Scope, block: YamlMap | None) -> Map:
    value = scope.evaluate(block, block.span) if block is not None else EMPTY
    if block is not None:
        _refuse_unknown(scope, value, block, "state")
    return value if isinstance(value, Map) else EMPTY


def _refuse_unknown(scope: Scope, value: object, node: object, where: str) -> None:
    for key, item in value.items() if isinstance(value, Map) else ():
        if not isinstance(node, YamlMap) or item is UNKNOWN:
            continue
        if where == "state" and any(True for _ in secret_refs(item)):
            hint = "the key of state.encryption is named by itself: key: env:NAME; credentials come from each store's own chain"
            scope.world.problems.add("expression.sensitive", f"{where}.{key} cannot use secret()", (node, key), hint)
        elif any(isinstance(leaf, Ref) or leaf is UNKNOWN for leaf in within(item)):
            hint = "settings must be known before anything is made; use variables or constants"
            scope.world.problems.add(
                "expression.not_known", f"{where}.{key} uses a value that is known only after apply", (node, key), hint
            )
