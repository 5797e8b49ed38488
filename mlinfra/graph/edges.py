"""Who needs whom, in which order, and what a selection drags along."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from mlinfra.model.address import matches
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import SpecError
from mlinfra.model.resource import Resource
from mlinfra.model.values import references

N = TypeVar("N")
Edges = Mapping[N, Sequence[N]]


def dependencies(resources: Mapping[str, Resource]) -> dict[str, tuple[str, ...]]:
    """The addresses that each resource needs, from its references and depends_on, in the order met.

    SpecError for an address that does not exist."""
    edges: dict[str, tuple[str, ...]] = {}
    problems: list[Diagnostic] = []
    for address, resource in resources.items():
        needs = needs_of(resource)
        for name in needs:
            if name not in resources:
                problems.append(
                    Diagnostic(
                        code="graph.unknown_address",
                        message=f"{address} depends on {name}, which does not exist",
                        span=resource.span,
                        address=address,
                    )
                )
        edges[address] = needs
    if problems:
        raise SpecError(problems)
    return edges


def needs_of(resource: Resource) -> tuple[str, ...]:
    """The addresses that one resource refers to or depends on, itself left out, in the order met."""
    refs = references(resource.attributes)
    if resource.lifecycle.replace_when:
        refs += references(resource.lifecycle.replace_when)
    needs = dict.fromkeys([ref.address for ref in refs])
    for name in resource.depends_on:
        needs[name] = None
    needs.pop(resource.address, None)
    return tuple(needs)


def reverse(edges: Edges[N]) -> dict[N, list[N]]:
    """Who depends on whom."""
    dependents: dict[N, list[N]] = {node: [] for node in edges}
    for node, needs in edges.items():
        for need in needs:
            dependents.setdefault(need, []).append(node)
    return dependents


def order(edges: Edges[N]) -> list[N]:
    """Every node after all that it needs; otherwise in the order given. ValueError when there is a cycle (see find_cycle)."""
    waiting = {node: len(needs) for node, needs in edges.items()}
    dependents = reverse(edges)
    ordered = [node for node, count in waiting.items() if count == 0]
    for node in ordered:  # it grows meanwhile, by those that waited for this one last
        for dependent in dependents[node]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                ordered.append(dependent)
    if len(ordered) != len(edges):
        raise ValueError("there is a cycle")
    return ordered


def find_cycle(edges: Edges[N]) -> list[N]:
    """One cycle as a path whose last node is its first; empty when there is none."""
    state: dict[N, int] = {}
    for root in edges:
        if state.get(root):
            continue
        path: list[N] = [root]
        stack = [iter(edges.get(root, ()))]
        state[root] = 1
        while stack:
            for need in stack[-1]:
                if state.get(need) == 1:
                    return [*path[path.index(need) :], need]
                if not state.get(need):
                    state[need] = 1
                    path.append(need)
                    stack.append(iter(edges.get(need, ())))
                    break
            else:
                state[path.pop()] = 2
                stack.pop()
    return []


def ordered_or_refused(resources: Mapping[str, Resource], edges: Edges[str]) -> list[str]:
    """Addresses in dependency order. SpecError with the exact cycle path otherwise."""
    try:
        return order(edges)
    except ValueError:
        cycle = find_cycle(edges)
        places = tuple((r.span, f"{a} is here") for a in cycle[:-1] if (r := resources[a]).span is not None)
        raise SpecError(
            Diagnostic(
                code="graph.cycle",
                message=f"these depend on each other in a circle: {' → '.join(cycle)}",
                span=resources[cycle[0]].span,
                hint="break the circle: remove one of the references or depends_on",
                related=places[1:],
            )
        ) from None


def closure(start: Iterable[N], neighbours: Callable[[N], Iterable[N]]) -> set[N]:
    """Everything reachable from ``start``, itself included."""
    seen = set(start)
    queue = deque(seen)
    while queue:
        for node in neighbours(queue.popleft()):
            if node not in seen:
                seen.add(node)
                queue.append(node)
    return seen


def select(addresses: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """The addresses that ``--target``/``--exclude`` patterns name. SpecError for a pattern that names nothing."""
    known = list(addresses)
    chosen: set[str] = set()
    for pattern in patterns:
        found = {a for a in known if matches(pattern, a)}
        if not found:
            from difflib import get_close_matches

            near = get_close_matches(pattern, known, n=1)
            raise SpecError(
                Diagnostic(
                    code="graph.no_such_target",
                    message=f"{pattern!r} names no resource",
                    hint=f"did you mean {near[0]!r}?" if near else "`mlinfra state list` and `mlinfra graph` show the addresses",
                )
            )
        chosen |= found
    return chosen
