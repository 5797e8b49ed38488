"""The straight line, spelled out once: load → resolve → lower → graph → refresh → diff → plan → apply → state.

Every function is synchronous and takes :class:`~mlinfra.workspace.Options`; progress goes to a sink of events; errors are MlinfraErrors.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from mlinfra.lower.stack import Stack
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.errors import PlanError, SpecError
from mlinfra.model.events import ApplyFinished, Notice, Sink, discard
from mlinfra.model.plan import Plan
from mlinfra.model.resource import Resource
from mlinfra.model.state import State
from mlinfra.model.values import EMPTY, Map, Path
from mlinfra.provider.contract import span_at
from mlinfra.provider.registry import Registry
from mlinfra.resolve import Resolved, resolve
from mlinfra.state.session import Location
from mlinfra.workspace import (
    Digests,
    Options,
    Validated,
    connections,
    location,
    named_as_made,
    session,
    spec_from_texts,
    texts_of,
    to_rows,
    validated,
)

if TYPE_CHECKING:
    from mlinfra.apply.stop import Stop
    from mlinfra.plan.planner import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and what it was made from. ``stack`` and ``resolved`` are None when it was loaded from a file.

    ``files``, ``variables`` and ``digests`` are what history keeps: enough to make the same plan again."""

    plan: Plan
    state: State
    stack: Stack | None = None
    resolved: Resolved | None = None
    digests: Digests = field(default_factory=dict)
    operation: str = "apply"
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Map = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply left. ``outputs`` holds values, sensitive ones as Secret; no ``failures``: success."""

    state: State
    outputs: Map
    failures: tuple[Diagnostic, ...]
    summary: ApplyFinished
    interrupted: bool = False


def validate(o: Options, registry: Registry | None = None) -> Validated:
    """Load, resolve and lower. SpecError or PlanError with every problem found."""
    return validated(o, registry or Registry())


def plan(o: Options, sink: Sink = discard, *, registry: Registry | None = None) -> Planned:
    """Everything that apply would do. Takes no lock, changes nothing."""
    registry = registry or Registry()
    valid = validated(o, registry)
    return asyncio.run(plan_from(o, valid, registry, sink, operation="destroy" if o.mode == "destroy" else "apply"))


def apply(
    o: Options, planned: Planned, sink: Sink = discard, stop: Stop | None = None, *, registry: Registry | None = None
) -> Applied:
    """Do what the plan says, or less. Failures of steps are in the result; StateLocked, PlanStale and StateError are raised."""
    from mlinfra.apply.stop import Stop as NewStop

    return asyncio.run(_apply(o, planned, registry or Registry(), sink, stop or NewStop()))


def refresh(o: Options, sink: Sink = discard, *, registry: Registry | None = None) -> Applied:
    """Record the world as it is."""
    o = replace(o, mode="refresh_only")
    return apply(o, plan(o, sink, registry=registry), sink, registry=registry)


def import_resource(o: Options, address: str, id: str, sink: Sink = discard, *, registry: Registry | None = None) -> Applied:
    """Adopt an existing object as ``address``, whose block must stand in the spec; changes nothing in the world."""
    registry = registry or Registry()
    valid = validated(o, registry)
    if address not in valid.stack.resources:
        raise SpecError(
            Diagnostic(
                code="import.no_block",
                message=f"there is no resource {address} in the spec to import into",
                hint=f"write its block first; natives: {', '.join(list(valid.stack.resources)[:8])}",
            )
        )
    recorded = location(o, valid.resolved).read().resources
    if (address, "") in recorded:
        raise PlanError(
            Diagnostic(code="import.exists", message=f"{address} is recorded already", hint=f"mlinfra state rm {address} first")
        )
    o = replace(o, targets=(address,))
    planned = asyncio.run(plan_from(o, valid, registry, sink, operation="import", imports={address: id}))
    only = tuple(c for c in planned.plan.changes if c.address == address)
    steps = tuple(replace(s, change=0, needs=()) for s in planned.plan.steps if planned.plan.changes[s.change].address == address)
    steps = tuple(s for s in steps if s.operation.value == "import")
    adopted = replace(planned.plan, changes=only, steps=steps, outputs=EMPTY, sensitive_outputs=(), output_changes=())
    return apply(o, replace(planned, plan=adopted), sink, registry=registry)


async def plan_from(
    o: Options, valid: Validated, registry: Registry, sink: Sink, *, operation: str, imports: Mapping[str, str] | None = None
) -> Planned:
    """The plan for a spec that holds together. ``operation`` is what history will call it; ``imports`` adds to the spec's."""
    from mlinfra.plan.planner import make_plan
    from mlinfra.state.recovery import recover

    where = location(o, valid.resolved)
    ledger = where.read()
    sealer = where.sealer()
    connected = connections(o, valid.resolved, registry)
    try:
        uncertain: frozenset[str] = frozenset()
        holder = where.holder() if ledger.intents else None
        if ledger.intents and holder is None:
            recovery = await recover(ledger, connected, sealer, sink)
            for entry in recovery.entries:
                ledger.apply(entry)
            uncertain = recovery.uncertain
        elif holder is not None:
            sink(Notice(message=f"{holder} is at work on this state: the plan may be out of date before you read it"))
        valid = named_as_made(valid, ledger.freeze(), registry)
        request = _request(o, valid, imports or {}, uncertain)
        made = await make_plan(request, ledger.freeze(), connected, sealer, sink)
    finally:
        await connected.close()
    return Planned(
        plan=made.plan,
        state=made.state,
        stack=valid.stack,
        resolved=valid.resolved,
        digests=valid.digests,
        operation=operation,
        files=texts_of(valid.resolved),
        variables=valid.resolved.variables,
    )


def _request(o: Options, valid: Validated, imports: Mapping[str, str], uncertain: frozenset[str]) -> Request:
    from mlinfra.plan.planner import Request

    resolved, stack = valid.resolved, valid.stack
    return Request(
        resources=stack.resources,
        outputs=stack.outputs,
        sensitive_outputs=stack.sensitive_outputs,
        moved=resolved.moved,
        forget=tuple(r.source for r in resolved.removed if not r.destroy),
        imports={**{i.to: i.id for i in resolved.imports}, **imports},
        targets=o.targets,
        excludes=o.excludes,
        replace=o.replace,
        refresh=o.refresh,
        mode=o.mode,
        project=resolved.project,
        environment=resolved.environment,
        environment_protected=resolved.protect,
        allow_data_loss=o.allow_data_loss,
        spec_digest=_spec_digest(valid),
        uncertain=uncertain,
        warnings=valid.warnings,
    )


async def _apply(o: Options, planned: Planned, registry: Registry, sink: Sink, stop: Stop) -> Applied:
    from mlinfra.apply.executor import execute
    from mlinfra.plan.stale import check_fresh
    from mlinfra.state.recovery import recover

    resolved = _resolved_again(o, planned)
    where = location(o, resolved)
    if planned.plan.is_empty and not planned.plan.has_notes and not where.read().intents:
        nothing = ApplyFinished(added=0, changed=0, destroyed=0, failed=0, blocked=0, unchanged=0, elapsed=0.0)
        return Applied(state=planned.state, outputs=planned.state.outputs, failures=(), summary=nothing)
    connected = connections(o, resolved, registry)
    async with session(o, where, planned.operation, sink) as held:
        try:
            if held.ledger.intents:
                recovery = await recover(held.ledger, connected, held.sealer, discard)
                await held.append(*recovery.entries)
            check_fresh(planned.plan, held.ledger)
            outcome = await execute(planned.plan, held, connected, sink, stop, locate=partial(_place, planned.stack))
        finally:
            await connected.close()
        state = held.ledger.freeze()
        await asyncio.to_thread(_remember, where, planned, state, outcome.summary, f"{held.lease.owner}@{held.lease.host}")
    return Applied(
        state=state, outputs=outcome.outputs, failures=outcome.failures, summary=outcome.summary, interrupted=outcome.interrupted
    )


def _place(stack: Stack | None, resource: Resource, path: Path) -> Span | None:
    """Where the user wrote what became the attribute ``path``: a provider knows the attribute, only the spec the place."""
    component = stack.components.get(resource.component) if stack is not None else None
    return span_at(component, path) if component is not None and path else resource.span


def _remember(where: Location, planned: Planned, state: State, summary: ApplyFinished, owner: str) -> None:
    from mlinfra.state.history import HistoryEntry, append_history

    ended = "" if not summary.failed and not summary.blocked else f", {summary.failed} failed, {summary.blocked} not tried"
    imported = f"{summary.imported} imported, " if summary.imported else ""
    destroyed = planned.plan.mode == "destroy"
    entry = HistoryEntry(
        number=0,
        time=time.time(),
        operation=planned.operation,
        summary=f"{imported}{summary.added} added, {summary.changed} changed, {summary.destroyed} destroyed{ended}",
        serial=state.serial,
        environment=planned.plan.environment,
        spec_digest=planned.plan.spec_digest,
        owner=owner,
        files={} if destroyed else planned.files,
        variables=planned.variables,
        digests=to_rows(planned.digests),
    )
    append_history(where, entry)


def _resolved_again(o: Options, planned: Planned) -> Resolved:
    """The spec that ``planned`` was made from, for its settings: where its state is, how its providers connect."""
    if planned.resolved is not None:
        return planned.resolved
    o = replace(o, environment=planned.plan.environment or o.environment, variables={**planned.variables, **o.variables})
    with spec_from_texts(planned.files) as spec:
        return resolve(spec, o.inputs)


def _spec_digest(valid: Validated) -> str:
    text = json.dumps(
        [sorted(texts_of(valid.resolved).items()), valid.resolved.environment, valid.resolved.variables, to_rows(valid.digests)]
    )
    return hashlib.sha256(text.encode()).hexdigest()
