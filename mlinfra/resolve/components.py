"""Resource blocks to Components: every property evaluated and checked against its kind."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from mlinfra.kinds import catalog
from mlinfra.model.address import in_module, parse_address
from mlinfra.model.component import Component, Lifecycle
from mlinfra.model.dataclass import maker, replace
from mlinfra.model.diagnostic import Span
from mlinfra.model.validation import refusal
from mlinfra.model.values import EMPTY, UNKNOWN, Expr, Map, Path, Ref, Secret, holds, put
from mlinfra.resolve.names import ScopeNames
from mlinfra.resolve.problems import At
from mlinfra.resolve.scope import Scope
from mlinfra.spec.document import ResourceBlock
from mlinfra.spec.positions import Spans, YamlMap, find_span
from mlinfra.spec.suggest import did_you_mean
from mlinfra.spec.words import describe

if TYPE_CHECKING:
    from mlinfra.kinds.base import Kind


_make_component = maker(Component)


class BlockSpans(Spans):
    """Places below a component's properties; failing that, below its block (``native``, ``tags``, ``depends_on``)."""

    __slots__ = ("_block",)

    def __init__(self, block: ResourceBlock) -> None:
        self._node = block.properties
        self._block = block.node

    def __getitem__(self, path: Path) -> Span:
        span = find_span(self._node, path) or find_span(self._block, path)
        if span is None:
            raise KeyError(path)
        return span


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """Components in the order written, and the addresses of those with a problem."""

    components: tuple[Component, ...]
    broken: frozenset[str]


def build(root: Scope, default_target: str) -> Built:
    """All components of the spec and its modules. What is wrong is noted."""
    found: list[Component] = []
    broken: set[str] = set()
    problems = root.world.problems
    for scope in scopes(root):
        for name, block in scope.spec.resources.items():
            spans = BlockSpans(block)
            addresses = scope.addresses(name)
            for key, each in scope.instances(name).each.items():
                before = len(problems)
                address = addresses[key]
                component = _component(scope.names_with(each), block, address, spans, default_target)
                if component is None or len(problems) > before or (before and holds(component.properties, type(UNKNOWN))):
                    broken.add(address)
                if component is not None:
                    found.append(component)
    return Built(_with_dependencies(root, found), frozenset(broken))


def scopes(root: Scope) -> Iterator[Scope]:
    """The root, then every module instance below it, outer ones first."""
    waiting = [root]
    while waiting:
        scope = waiting.pop()
        yield scope
        children = [child for name in scope.spec.modules for child in scope.children(name).values()]
        waiting.extend(reversed(children))


def _component(names: ScopeNames, block: ResourceBlock, address: str, spans: BlockSpans, default_target: str) -> Component | None:
    properties = names.evaluate(block.properties, block.span)
    model: Kind | None = None
    if block.kind in catalog.NAMES:
        properties, model = _checked(names.scope, block.kind, address, properties, spans)
    elif not block.kind:
        return None
    return _make_component(
        kind=block.kind,
        name=address,
        target=default_target if block.target is None else _text(names, block, "target", block.target) or default_target,
        properties=properties,
        lifecycle=_lifecycle(names, block) if block.replace_when else block.lifecycle,
        depends_on=block.depends_on,
        description=block.description,
        tags=EMPTY if block.tags is None else names.evaluate(block.tags, (block.node, "tags")),
        native=EMPTY if block.native is None else names.evaluate(block.native, (block.node, "native")),
        existing=None if block.existing is None else _text(names, block, "existing", block.existing),
        span=block.span,
        spans=spans,
        model=model,
    )


def _checked(scope: Scope, kind_name: str, address: str, properties: Map, spans: Spans) -> tuple[Map, Kind | None]:
    """The properties after the kind's own check, and what it made of them (None: they are not right); in a module, with local
    paths made relative to the root spec's folder."""
    try:
        model = catalog.kind(kind_name).model_validate(properties)
    except refusal() as error:
        from mlinfra.spec.every_problem import every_problem

        for problem in every_problem(kind_name, error, address, properties, spans):
            scope.world.problems.note(problem)
        return properties, None
    if scope.module and catalog.reads_files(kind_name):
        written = properties
        for local in model.local_paths():
            if not FilePath(local.path).is_absolute():
                moved = os.path.relpath(scope.spec.root / local.path, scope.world.root)
                properties = put(properties, local.field, moved)
        if properties is not written:
            model = model.model_validate(properties)
    return properties, model


def _text(names: ScopeNames, block: ResourceBlock, key: str, written: Any) -> str | None:
    """A common key that must be text and known at plan time."""
    problems = names.scope.world.problems
    value = names.evaluate(written, (block.node, key))
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or value is UNKNOWN:
        return None
    if isinstance(value, (Ref, Expr)):
        problem = f"{key} of {block.name} uses a value that is known only after apply"
        problems.add("expression.not_known", problem, (block.node, key), "it must be known at plan time")
    elif isinstance(value, Secret):
        problems.add("expression.sensitive", f"{key} of {block.name} cannot be sensitive", (block.node, key))
    else:
        problem = f"{key} of {block.name} must be text, not {describe(value)}"
        problems.add("expression.type", problem, (block.node, key))
    return None


def _lifecycle(names: ScopeNames, block: ResourceBlock) -> Lifecycle:
    node = block.node["lifecycle"]
    values = [names.evaluate(value, (node, "replace_when")) for value in block.replace_when]
    return replace(block.lifecycle, replace_when=tuple(values))


def _with_dependencies(root: Scope, components: list[Component]) -> tuple[Component, ...]:
    """Components with ``depends_on`` as addresses of components: instances and whole modules spelled out."""
    below = _below_modules(components)
    wanted: dict[str, tuple[str, ...]] = {}
    for scope in scopes(root):
        for name, block in scope.spec.resources.items():
            if not block.depends_on and not scope.depends_on:
                continue
            own = [a for index, d in enumerate(block.depends_on) for a in _targets(scope, d, (block.node, index), below)]
            every = tuple(dict.fromkeys((*own, *scope.depends_on)))
            wanted |= dict.fromkeys(scope.addresses(name).values(), every)
        for name, module in scope.spec.modules.items():
            added = [a for index, d in enumerate(module.depends_on) for a in _targets(scope, d, (module.node, index), below)]
            for child in scope.children(name).values():
                child.depends_on = (*scope.depends_on, *added)
    return tuple(replace(c, depends_on=wanted.get(c.name, ())) if c.depends_on or c.name in wanted else c for c in components)


def _below_modules(components: Iterable[Component]) -> dict[str, list[str]]:
    """The components in every module, by the module's address, and by that of all its instances together."""
    below: dict[str, list[str]] = {}
    for component in components:
        parts = parse_address(component.name) if component.name.startswith("module.") else None
        names = parts.module.split("module.") if parts is not None else []
        prefix = ""
        for name in names[1:]:
            prefix = in_module(prefix, f"module.{name.rstrip('.')}")
            below.setdefault(prefix, []).append(component.name)
            if name.rstrip(".").endswith("]"):
                below.setdefault(prefix[: prefix.rindex("[")], []).append(component.name)
    return below


def _targets(scope: Scope, name: str, item: tuple[YamlMap, int], below: Mapping[str, list[str]]) -> list[str]:
    """The components that an entry of ``depends_on`` means."""
    node, index = item
    at: At = (node["depends_on"], index) if isinstance(node.get("depends_on"), list) else (node, "depends_on")
    parts = parse_address(name)
    if name.startswith("module."):
        module = name.removeprefix("module.").partition(".")[0].partition("[")[0]
        if module in scope.spec.modules:
            address = in_module(scope.module, name)
            if address in below:
                return below[address]
            if parts is not None and address in scope.world.kinds:
                return [address]
            if not scope.module_instances(module).each or not scope.children(module):
                return []
        elif name.partition("[")[0] in scope.spec.unreadable:
            return []
        hint = did_you_mean(module, scope.spec.modules, allowed="modules") if module not in scope.spec.modules else ""
        scope.world.problems.add("reference.unknown_name", f"depends_on: there is no {name}", at, hint)
        return []
    base = name.partition("[")[0]
    if parts is None or base not in scope.spec.resources:
        if base not in scope.spec.unreadable:
            hint = did_you_mean(base, scope.spec.resources, allowed="resources")
            scope.world.problems.add("reference.unknown_name", f"depends_on: there is no resource named {name!r}", at, hint)
        return []
    found = scope.instances(base)
    addresses = list(scope.addresses(base).values())
    if base == name:
        return addresses
    wanted = in_module(scope.module, name)
    if wanted in addresses:
        return [wanted]
    if wanted not in [scope.address(base, key) for key in found.disabled] and not found.broken:
        hint = did_you_mean(name, [a.removeprefix(f"{scope.module}.") for a in addresses], allowed="instances")
        scope.world.problems.add("reference.unknown_instance", f"depends_on: there is no {name}", at, hint)
    return []
