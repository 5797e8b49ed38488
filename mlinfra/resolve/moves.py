"""``moved``, ``removed`` and ``imports``: what is said of things that the state records, checked against what is declared."""

from __future__ import annotations

from collections.abc import Iterable

from mlinfra.model.address import component_of, follow, in_module, matches, parse_address
from mlinfra.model.diagnostic import Span
from mlinfra.model.values import UNKNOWN, Secret, is_known
from mlinfra.resolve.components import scopes
from mlinfra.resolve.resolved import Import, Removed
from mlinfra.resolve.scope import Scope
from mlinfra.spec.suggest import did_you_mean


def moved(root: Scope, declared: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(from, to) in the order written; a module's own inside each of its instances."""
    names = tuple(declared)
    found: dict[str, str] = {}
    written: dict[str, tuple[Scope, Span | None]] = {}
    for scope in scopes(root):
        for move in scope.spec.moved:
            if not (
                _is_address(scope, move.source, "moved.from", move.span) and _is_address(scope, move.to, "moved.to", move.span)
            ):
                continue
            source, to = in_module(scope.module, move.source), in_module(scope.module, move.to)
            problem, hint = "", ""
            if source == to:
                problem = f"moved: {source} is moved to itself"
            elif source in found:
                problem = f"moved: {source} is moved twice, to {found[source]} and to {to}"
            elif _is_declared(source, names):
                problem, hint = f"moved: {source} is still declared", "rename its block, or take this entry out"
            if problem:
                scope.world.problems.add("spec.bad_move", problem, move.span, hint)
            else:
                found[source] = to
                written[source] = (scope, move.span)
    for source, to in found.items():
        end = follow(to, found.items(), frozenset(names))
        if not _is_declared(end, names) and not any(matches(end, name) for name in names):
            scope, span = written[source]
            hint = did_you_mean(end, names, allowed="resources")
            scope.world.problems.add("spec.bad_move", f"moved: there is no {end}", span, hint)
    return tuple(found.items())


def removed(root: Scope, declared: Iterable[str]) -> tuple[Removed, ...]:
    """What is given up; a module's own inside each of its instances."""
    names = tuple(declared)
    found: list[Removed] = []
    for scope in scopes(root):
        for item in scope.spec.removed:
            if not _is_address(scope, item.source, "removed.from", item.span):
                continue
            source = in_module(scope.module, item.source)
            if _is_declared(source, names):
                hint = "take its block out of the spec, or this entry"
                scope.world.problems.add("spec.bad_removal", f"removed: {source} is still declared", item.span, hint)
            else:
                found.append(Removed(source=source, destroy=item.destroy))
    return tuple(found)


def imports(root: Scope, declared: Iterable[str]) -> tuple[Import, ...]:
    """What is to be adopted; ids are known at plan time."""
    names = frozenset(declared)
    problems = root.world.problems
    found: dict[str, Import] = {}
    for item in root.spec.imports:
        identity = root.evaluate(item.id, item.span)
        if not _is_address(root, item.to, "imports.to", item.span):
            continue
        if component_of(item.to) not in names:
            hint = did_you_mean(item.to, sorted(names), allowed="resources")
            problems.add("spec.bad_import", f"imports: there is no resource {item.to!r}", item.span, hint)
        elif item.to in found:
            problems.add("spec.bad_import", f"imports: {item.to} is imported twice", item.span)
        elif isinstance(identity, Secret):
            problems.add("expression.sensitive", f"imports: the id of {item.to} cannot be sensitive", item.span)
        elif not is_known(identity):
            if identity is not UNKNOWN:
                problems.add("expression.not_known", f"imports: the id of {item.to} must be known at plan time", item.span)
        elif not isinstance(identity, (str, int)) or isinstance(identity, bool) or identity == "":
            problems.add("expression.type", f"imports: the id of {item.to} must be text", item.span)
        else:
            found[item.to] = Import(to=item.to, id=str(identity))
    return tuple(found.values())


def _is_address(scope: Scope, text: str, where: str, span: Span | None) -> bool:
    parts = parse_address(text)
    if parts is not None or (text.startswith("module.") and parse_address(f"{text}.x") is not None):
        return True
    hint = 'write it like raw, item["a"], api.config or module.rag.vectors'
    scope.world.problems.add("spec.bad_address", f"{where}: {text!r} is no address", span, hint)
    return False


def _is_declared(address: str, names: tuple[str, ...]) -> bool:
    """Whether ``address`` is a declared component, or a native resource of one, or a module with one inside."""
    return component_of(address) in names or (_is_module(address) and any(name.startswith(f"{address}.") for name in names))


def _is_module(address: str) -> bool:
    parts = parse_address(address)
    return parts is None or parts.name == "module"
