"""The plan: every wanted resource decided in dependency order, everything else deleted, ordered into steps.

Reads the world through refresh and look-ups; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from mlinfra.graph.edges import closure, dependencies, ordered_or_refused, reverse, select
from mlinfra.model.change import Action, Change
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic, Severity
from mlinfra.model.events import Sink
from mlinfra.model.plan import Plan
from mlinfra.model.resource import Resource
from mlinfra.model.state import State
from mlinfra.model.values import (
    EMPTY,
    Map,
    Secret,
    SecretRef,
)
from mlinfra.plan.diff import fits_beside
from mlinfra.plan.guard import refuse_protected
from mlinfra.plan.holders import lies_in
from mlinfra.plan.moves import move
from mlinfra.plan.prices import priced, recorded_world, standing, wanted_world
from mlinfra.plan.readers import all_needs, veiled
from mlinfra.plan.refresh import Refreshed, refresh
from mlinfra.plan.risk import assess
from mlinfra.plan.steps import make_steps, settle_create_first
from mlinfra.plan.walk import Walk
from mlinfra.provider.connections import Connections
from mlinfra.state.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted of a plan. ``removed``/``moved``/``imports`` are the spec's blocks, addresses of resources.

    ``uncertain``  addresses whose last operation never reported back: read even without refresh
    ``blocked``    addresses of which nobody can tell whether they exist, each with the problem; ``blocked_needs``: what they depend on
    ``secrets``    the secrets of ``secret("…")`` that were fetched; the others are taken as recorded
    ``settings``   by provider instance: prices depend on them (the region)
    """

    resources: Mapping[str, Resource]
    outputs: Map = EMPTY
    sensitive_outputs: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    forget: tuple[str, ...] = ()
    imports: Mapping[str, str] = EMPTY
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    refresh: bool = True
    mode: str = "normal"
    project: str = ""
    environment: str = ""
    environment_protected: bool = False
    allow_data_loss: bool = False
    spec_digest: str = ""
    uncertain: frozenset[str] = frozenset()
    blocked: Mapping[str, Diagnostic] = field(default_factory=dict)
    blocked_needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
    secrets: Mapping[SecretRef, Secret] = field(default_factory=dict)
    settings: Mapping[str, Map] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """``state`` is as refreshed, moves applied; ``wanted`` what each change asks its provider for, as far as it is known."""

    plan: Plan
    state: State
    wanted: Mapping[str, Map] = EMPTY


async def make_plan(request: Request, recorded: State, connections: Connections, sealer: Sealer, sink: Sink) -> Made:
    """The plan for ``request`` over what is ``recorded``. PlanError or SpecError with everything that stands in its way."""
    edges = dependencies(request.resources)
    addresses = ordered_or_refused(request.resources, edges)
    recorded, moves = move(recorded, request.moved, {r.component for r in request.resources.values() if request.moved})
    seen = await _refresh(request, recorded, connections, sealer, sink)
    state = seen.state
    selected = _selection(request, addresses, edges, state)
    walk = Walk(request, edges, state, connections, sealer, selected)
    if request.mode != "refresh_only":
        if request.mode == "normal":
            await walk.visit(addresses)
        walk.delete_the_rest()
    priors = state.resources
    before, after = (
        recorded_world(connections.registry, request.settings, state),
        wanted_world(connections.registry, request.settings, request.resources, walk.values),
    )
    changes = priced(walk.changes, before, after)
    spoken_of = {(c.address, c.deposed) for c in changes}
    changes = await assess(changes, priors, connections, ask=request.refresh)
    changes = settle_create_first(changes, edges, lambda c: fits_beside(c, connections.registry.type(c.type).schema))
    acting = [c for c in changes if c.action is not Action.NOOP]
    refuse_protected(
        acting, priors, request.resources, environment=request.environment,
        environment_protected=request.environment_protected, allow_data_loss=request.allow_data_loss,
    )  # fmt: skip
    if moves:
        back = {to: source for source, to in moves}
        changes = [c if c.deposed or c.address not in back else replace(c, moved_from=back[c.address]) for c in changes]
    changes = veiled(changes, connections.registry.schema)
    steps = make_steps(changes, request.resources, edges, priors, _holders(acting, state, connections))
    touched = {(c.address, c.deposed) for c in acting}
    records = {(d.address, ""): priors[(d.address, "")] for d in seen.drift if not d.gone}
    records.update({(a, ""): r for a, r in walk.noted.items()})
    referenced = {(need, "") for a, _ in touched for need in edges.get(a, ())}
    prior = {key: walk.remembered.get(key[0], priors[key]) for key in touched | referenced if key in priors}
    prior.update({(a, ""): r for a, r in walk.existing.items()})
    normal = request.mode == "normal"
    plan = Plan(
        changes=tuple(changes),
        steps=steps,
        reads={a: r.version for (a, d), r in recorded.resources.items() if not d},
        resources={c.address: request.resources[c.address] for c in acting if c.action not in (Action.DELETE, Action.FORGET)},
        prior=prior,
        records=tuple(r for key, r in records.items() if key not in touched),
        gone=seen.gone,
        drift=seen.drift,
        outputs=request.outputs if normal else EMPTY,
        sensitive_outputs=request.sensitive_outputs if normal else (),
        output_changes=walk.output_changes() if request.mode != "refresh_only" else (),
        moves=moves,
        warnings=(*request.warnings, *seen.warnings, *_left_alone(request, addresses, edges), *walk.warnings),
        blocked=tuple(request.blocked.values()),
        needs=all_needs(edges, priors, request.mode),
        standing={} if request.mode == "refresh_only" else standing(priors.values(), spoken_of, before),
        spec_digest=request.spec_digest,
        lineage=recorded.lineage,
        serial=recorded.serial,
        project=request.project,
        environment=request.environment,
        mode=request.mode,
    )
    return Made(plan, state, walk.wanted)


async def _refresh(request: Request, state: State, connections: Connections, sealer: Sealer, sink: Sink) -> Refreshed:
    if request.refresh:
        return await refresh(state, connections, sealer, sink)
    only = frozenset(key for key in state.resources if key[0] in request.uncertain)
    return await refresh(state, connections, sealer, sink, only=only)


def _selection(request: Request, addresses: Sequence[str], edges: Mapping[str, Sequence[str]], state: State) -> set[str] | None:
    """The addresses that the plan may touch; None: all."""
    if not request.targets and not request.excludes and not request.blocked:
        return None
    known = list(dict.fromkeys([*addresses, *(a for a, _ in state.resources), *request.blocked]))
    recorded = {**request.blocked_needs, **{a: r.dependencies for (a, d), r in state.resources.items() if not d}}
    exists = set(known)
    needs = {a: tuple(n for n in dict.fromkeys([*edges.get(a, ()), *recorded.get(a, ())]) if n in exists) for a in known}
    dependents = reverse(needs)
    chosen = set(known)
    if request.targets:
        chosen = _drag(select(known, request.targets), dependents if request.mode == "destroy" else needs)
    if request.excludes:
        chosen -= _drag(select(known, request.excludes), needs if request.mode == "destroy" else dependents)
    if request.blocked:
        held_up = set(request.blocked)
        chosen -= held_up if request.mode == "destroy" else _drag(held_up, dependents)
        # what it may stand on must not be taken away from under it
        chosen -= {a for a in _drag(held_up, needs) if request.mode == "destroy" or a not in request.resources}
    return chosen


def _left_alone(request: Request, addresses: Sequence[str], edges: Mapping[str, Sequence[str]]) -> list[Diagnostic]:
    """A warning for each blocked address, saying what else waits for it."""
    found: list[Diagnostic] = []
    for address, problem in request.blocked.items():
        dependents = reverse({a: edges.get(a, ()) for a in addresses}).get(address, ())
        waits = f"; {', '.join(dependents)} must wait for it" if dependents else ""
        found.append(replace(problem, severity=Severity.WARNING, message=f"{problem.message}. It is left alone{waits}"))
    return found


def _drag(start: set[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    return closure(start, lambda address: edges[address])


def _holders(changes: Sequence[Change], state: State, connections: Connections) -> dict[str, list[str]]:
    """In what each lies that is to be deleted or replaced."""
    found: dict[str, list[str]] = {}
    schema_of = connections.registry.schema
    for change in changes:
        r = state.get(change.address) if change.action in (Action.DELETE, Action.REPLACE) else None
        if r is not None and schema_of(r.type).inside:
            around = [holder for need in r.dependencies if (holder := state.get(need)) is not None]
            found[change.address] = [holder.address for holder in around if lies_in(r, holder, schema_of)]
    return found
