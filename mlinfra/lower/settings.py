"""Provider instances: which are declared, and their settings, checked by the provider's own model."""

from __future__ import annotations

from typing import Any

from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.validation import refusal
from mlinfra.model.values import EMPTY, Map, Secret, Value, freeze, holds, reveal, thaw, transform
from mlinfra.provider.registry import Registry
from mlinfra.provider.settings import known
from mlinfra.resolve.cel import descend
from mlinfra.resolve.resolved import Resolved
from mlinfra.spec.kind_errors import diagnostics
from mlinfra.spec.positions import Spans, YamlMap
from mlinfra.spec.suggest import did_you_mean
from mlinfra.state.compare import waits_for_secret


def check_settings(resolved: Resolved, registry: Registry, instance: str) -> tuple[Map, list[Diagnostic]]:
    """The validated settings of a provider instance, Secrets kept, and what is wrong with them.

    PlanError of the registry when the provider is not installed."""
    provider = registry.get(instance)
    written = resolved.providers.get(instance)
    if written is None and "." in instance:
        alike = [name for name in resolved.providers if name.partition(".")[0] == provider.name]
        hint = did_you_mean(instance, alike, allowed="declared") or f"declare it: providers: {{{instance}: {{…}}}}"
        problem = Diagnostic(code="provider.unknown_instance", message=f"there is no provider instance {instance!r}", hint=hint)
        return EMPTY, [problem]
    written = written or EMPTY
    right = known(provider, written)
    if right is not None:
        return right, []
    try:
        model = provider.config.model_validate(thaw(reveal(transform(written, _stand_in))))
    except refusal() as error:
        node = _written_at(resolved, instance)
        spans = Spans(node) if node is not None else {}
        found = diagnostics(provider.name, error, f"providers.{instance}", spans, model=provider.config)
        return written, [_hide(problem, written) for problem in found if not _waits(problem, written)]
    settings: dict[str, Value] = dict(freeze(model.model_dump()))
    settings.update({key: value for key, value in written.items() if _holds_secret(value)})
    return Map(settings), []


def _stand_in(leaf: Value) -> Value:
    """A text for a secret that is fetched only when the provider connects, which checks it again."""
    return "(sensitive)" if waits_for_secret(leaf) else leaf


def _waits(problem: Diagnostic, written: Map) -> bool:
    """Whether the problem is that of a stand-in."""
    try:
        return waits_for_secret(descend(written, problem.path))
    except KeyError:
        return False


def _hide(problem: Diagnostic, written: Map) -> Diagnostic:
    """The problem without what stands there, when that is sensitive."""
    if not problem.path or not _holds_secret(written.get(str(problem.path[0]))):
        return problem
    message = f"the sensitive value of {'.'.join(map(str, problem.path))} is not what the provider takes"
    return Diagnostic(code=problem.code, message=message, span=problem.span, address=problem.address, path=problem.path)


def _written_at(resolved: Resolved, instance: str) -> YamlMap | None:
    """The block of the instance: the environment's where it has one."""
    environment = resolved.spec.environments.get(resolved.environment)
    for block in (environment.providers if environment else None, resolved.spec.providers):
        if block is not None and isinstance(block.get(instance), YamlMap):
            node: YamlMap = block[instance]
            return node
    return None


def instance_span(resolved: Resolved, instance: str) -> Span | None:
    """Where the settings of an instance are written."""
    node = _written_at(resolved, instance)
    return node.span if node is not None else None


def _holds_secret(value: Any) -> bool:
    return holds(value, Secret)
