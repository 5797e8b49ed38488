"""The straight line, spelled out once: load → resolve → lower → graph → refresh → diff → plan → apply → state.

Every function is synchronous and takes :class:`~mlinfra.workspace.Options`; progress goes to a sink of events; errors are MlinfraErrors.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING

from mlinfra.lower.stack import Stack
from mlinfra.model.change import Action
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.errors import PlanError, PlanStale, SpecError
from mlinfra.model.events import ApplyFinished, Notice, Sink, discard
from mlinfra.model.loops import a_loop, asyncio, run_async
from mlinfra.model.plan import Plan
from mlinfra.model.resource import Resource
from mlinfra.model.state import State
from mlinfra.model.values import EMPTY, Map, Path, Secret, SecretDigest, SecretRef, secret_refs
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import span_at
from mlinfra.provider.registry import Registry
from mlinfra.resolve import Resolved, resolve
from mlinfra.state import progress
from mlinfra.state.secret_sources import is_local
from mlinfra.state.session import Location, Session
from mlinfra.workspace import (
    Digests,
    Mode,
    Options,
    Validated,
    connections,
    examined,
    fetch_secrets,
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
    from mlinfra.plan.planner import Made, Request
    from mlinfra.state.recovery import Recovery
    from mlinfra.state.sealing import Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and what it was made from. ``stack`` and ``resolved`` are None when it was loaded from a file.

    ``files``, ``variables`` and ``digests`` are what history keeps: enough to make the same plan again. ``secrets`` are those
    of ``secret("…")`` that it was made with; digests when it was loaded from a file, whose digest is ``saved``."""

    plan: Plan
    state: State
    stack: Stack | None = None
    resolved: Resolved | None = None
    digests: Digests = field(default_factory=dict)
    operation: str = "apply"
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Map = EMPTY
    secrets: Mapping[SecretRef, Secret | SecretDigest] = field(default_factory=dict)
    saved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply left. ``outputs`` holds values, sensitive ones as Secret; no ``failures``: success."""

    state: State
    outputs: Map
    failures: tuple[Diagnostic, ...]
    summary: ApplyFinished
    interrupted: bool = False


def validate(o: Options, registry: Registry | None = None) -> Validated:
    """Load, resolve and lower. SpecError or PlanError with every problem found. Asks nobody outside this machine."""
    return validated(replace(o, offline=True), registry or Registry())


def plan(o: Options, sink: Sink = discard, *, registry: Registry | None = None) -> Planned:
    """Everything that apply would do. Takes no lock, changes nothing."""
    registry = registry or Registry()
    valid = validated(o, registry)
    return run_async(plan_from(o, valid, registry, sink, operation="destroy" if o.mode == "destroy" else "apply"))


def apply(
    o: Options, planned: Planned, sink: Sink = discard, stop: Stop | None = None, *, registry: Registry | None = None
) -> Applied:
    """Do what the plan says, or less. Failures of steps are in the result; StateLocked, PlanStale and StateError are raised."""
    from mlinfra.apply.stop import Stop as NewStop

    return run_async(_apply(o, planned, registry or Registry(), sink, stop or NewStop()))


def bearing(planned: Planned, o: Options) -> Planned:
    """The plan with the overrides that are given now, for policies that it was refused by."""
    from mlinfra.plan.policies import overridden

    if not o.overrides:
        return planned
    return replace(planned, plan=replace(planned.plan, verdicts=overridden(planned.plan.verdicts, o.overrides)))


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
    planned = run_async(plan_from(o, valid, registry, sink, operation="import", imports={address: id}))
    only = tuple(c for c in planned.plan.changes if c.address == address)
    steps = tuple(replace(s, change=0, needs=()) for s in planned.plan.steps if planned.plan.changes[s.change].address == address)
    steps = tuple(s for s in steps if s.operation.value == "import")
    verdicts = tuple(v for v in planned.plan.verdicts if v.address == address)
    adopted = replace(
        planned.plan, changes=only, steps=steps, outputs=EMPTY, sensitive_outputs=(), output_changes=(), verdicts=verdicts
    )
    return apply(o, replace(planned, plan=adopted), sink, registry=registry)


async def plan_from(
    o: Options, valid: Validated, registry: Registry, sink: Sink, *, operation: str, imports: Mapping[str, str] | None = None
) -> Planned:
    """The plan for a spec that holds together. ``operation`` is what history will call it; ``imports`` adds to the spec's."""
    from mlinfra.plan.planner import make_plan
    from mlinfra.plan.policies import Rules, judge
    from mlinfra.state.recovery import Recovery, recover

    where = location(o, valid.resolved)
    ledger = where.read()
    sealer = where.sealer()
    secrets, warnings = await _secrets(o, valid.stack)
    connected = connections(o, valid.resolved, registry)
    try:
        recovery = Recovery()
        holder = where.holder() if ledger.intents else None
        if holder is not None and o.waits and await _outlived(o, where, sink):
            ledger, holder = where.read(), None
        if ledger.intents and holder is None:
            recovery = await recover(ledger, connected, sealer, sink)
            for entry in recovery.entries:
                ledger.apply(entry)
        elif holder is not None:
            sink(Notice(message=f"{holder} is at work on this state: the plan may be out of date before you read it"))
        recorded = ledger.freeze()
        valid = named_as_made(valid, recorded, registry)
        request = _request(o, valid, imports or {}, recovery)
        request = replace(request, secrets=secrets, warnings=(*request.warnings, *warnings))
        made = await make_plan(request, recorded, connected, sealer, sink)
        if o.server_check:
            made = await _checked_on_server(made, connected, valid.stack, sink)
        tags = {name: c.tags for name, c in valid.stack.components.items() if c.tags}
        rules = Rules(policies=valid.resolved.policies, budget=valid.resolved.budget, overrides=o.overrides, tags=tags)
        made = replace(made, plan=replace(made.plan, verdicts=judge(made.plan, rules)))
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
        secrets=secrets,
    )


async def _checked_on_server(made: Made, connected: Connections, stack: Stack, sink: Sink) -> Made:
    """The plan with what the servers say to it. PlanError with everything that they would refuse."""
    from mlinfra.plan.server_checks import check_on_server

    warnings = await check_on_server(made, connected, partial(_place, stack), sink)
    return replace(made, plan=replace(made.plan, warnings=(*made.plan.warnings, *warnings)))


async def _secrets(o: Options, stack: Stack) -> tuple[dict[SecretRef, Secret], tuple[Diagnostic, ...]]:
    """What the plan needs of ``secret("…")``. An offline plan asks no cloud: those secrets are taken as recorded, with a warning."""
    if o.mode != "normal":
        return {}, ()
    refs = _secrets_of(stack.resources.values(), stack.outputs)
    wanted = [ref for ref in refs if o.refresh or is_local(ref)]
    left = [ref.source for ref in refs if ref not in wanted]
    message = f"with --no-refresh these secrets are not fetched, but taken as recorded: {', '.join(left)}"
    warning = Diagnostic(code="plan.secrets_not_fetched", severity=Severity.WARNING, message=message)
    return await fetch_secrets(o, wanted, stack), (warning,) if left else ()


def _secrets_of(resources: Iterable[Resource], outputs: Map) -> dict[SecretRef, None]:
    """Every secret that they need, once, in the order met."""
    found: list[SecretRef] = []
    for r in resources:
        found += secret_refs(r.attributes)
        if r.lifecycle.replace_when:
            found += secret_refs(r.lifecycle.replace_when)
    return dict.fromkeys([*found, *secret_refs(outputs)])


async def _secrets_to_apply(o: Options, planned: Planned) -> dict[SecretRef, Secret]:
    """The secrets that the plan's steps hand to providers: those that the plan saw, or what they are now."""
    made = planned.plan
    refs = _secrets_of(made.resources.values(), made.outputs)
    known = {ref: secret for ref, secret in planned.secrets.items() if isinstance(secret, Secret)}
    return {**known, **await fetch_secrets(o, [ref for ref in refs if ref not in known], planned.stack)}


def _check_secrets(planned: Planned, secrets: Mapping[SecretRef, Secret], sealer: Sealer) -> None:
    """PlanStale, naming each, when a secret is not what it was when the plan was saved."""
    moved = [
        ref.source
        for ref, seen in planned.secrets.items()
        if isinstance(seen, SecretDigest) and ref in secrets and not sealer.fits(seen, secrets[ref].reveal())
    ]
    if moved:
        message, hint = f"the secret {', '.join(moved)} has changed since the plan was made", "plan again"
        raise PlanStale(Diagnostic(code="plan.other_secrets", message=message, hint=hint))


async def _outlived(o: Options, where: Location, sink: Sink) -> bool:
    """Wait until it is known whether the holder of the lock lives; whether it does not, and what it left can be looked up."""
    await a_loop()
    loop = asyncio.get_running_loop()
    gone = threading.Event()

    def say(message: str) -> None:
        loop.call_soon_threadsafe(sink, Notice(message=message))

    try:
        alive = await asyncio.to_thread(where.lock().settled, o.lock_timeout, say=say, cancelled=gone.is_set)
    finally:
        gone.set()
    return alive is None


def _request(o: Options, valid: Validated, imports: Mapping[str, str], recovery: Recovery) -> Request:
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
        uncertain=recovery.uncertain,
        blocked=recovery.blocked,
        blocked_needs=recovery.needs,
        warnings=valid.warnings,
        settings={**resolved.providers, **stack.settings},
    )


async def _apply(o: Options, planned: Planned, registry: Registry, sink: Sink, stop: Stop) -> Applied:
    from mlinfra.apply.executor import execute
    from mlinfra.plan.policies import refuse
    from mlinfra.plan.stale import check_fresh, concerned
    from mlinfra.state.recovery import recover, refuse_blocked

    planned = bearing(planned, o)
    refuse(planned.plan)
    resolved = _resolved_again(o, planned)
    where = location(o, resolved)
    if planned.plan.is_empty and not planned.plan.has_notes and not where.read().intents:
        nothing = ApplyFinished(added=0, changed=0, destroyed=0, failed=0, blocked=0, unchanged=0, elapsed=0.0)
        return Applied(state=planned.state, outputs=planned.state.outputs, failures=(), summary=nothing)
    await a_loop()
    secrets = await _secrets_to_apply(o, planned)
    connected = connections(o, resolved, registry)
    async with session(o, where, planned.operation, sink, cancelled=lambda: stop.level > 0) as held:
        try:
            if held.ledger.intents:
                recovery = await recover(held.ledger, connected, held.sealer, discard)
                await held.append(*recovery.entries)
                refuse_blocked(recovery, concerned(planned.plan))
            _check_secrets(planned, secrets, held.sealer)
            if planned.saved and await asyncio.to_thread(progress.begun, where) == planned.saved:
                sink(Notice(message="this plan was begun before and not finished: going on with what is left of it"))
                planned = await _what_is_left(o, planned, held, connected, registry, sink)
            else:
                check_fresh(planned.plan, held.ledger)
            if planned.saved:
                await asyncio.to_thread(progress.begin, where, planned.saved)
            outcome = await execute(planned.plan, held, connected, sink, stop, secrets, locate=partial(_place, planned.stack))
        finally:
            await connected.close()
        state = held.ledger.freeze()
        if planned.saved and not outcome.failures and not outcome.interrupted:
            await asyncio.to_thread(progress.finish, where)
        await asyncio.to_thread(_remember, where, planned, state, outcome.summary, f"{held.lease.owner}@{held.lease.host}")
    return Applied(
        state=state, outputs=outcome.outputs, failures=outcome.failures, summary=outcome.summary, interrupted=outcome.interrupted
    )


async def _what_is_left(
    o: Options, planned: Planned, held: Session, connected: Connections, registry: Registry, sink: Sink
) -> Planned:
    """The rest of a saved plan that an earlier run began, planned anew from what the plan itself was made of."""
    from mlinfra.plan.planner import make_plan
    from mlinfra.plan.remaining import remaining
    from mlinfra.plan.stale import overtaken
    from mlinfra.state.recovery import Recovery

    made = planned.plan
    mode: Mode = "destroy" if made.mode == "destroy" else "refresh_only" if made.mode == "refresh_only" else "normal"
    o = replace(o, environment=made.environment, variables={**planned.variables, **o.variables}, mode=mode, allow_data_loss=True)
    with spec_from_texts(planned.files) as spec:
        valid = examined(o, spec, registry, recorded=planned.digests)
    ledger = held.ledger.freeze()
    valid = named_as_made(valid, ledger, registry)
    secrets = await _secrets_to_apply(o, planned)
    approved = dict.fromkeys(c.address for c in made.changes if c.action is not Action.NOOP)
    targets = tuple(a for a in approved if a in valid.stack.resources or any(a == known for known, _ in ledger.resources))
    if not targets:
        return replace(planned, plan=replace(made, changes=(), steps=(), records=(), gone=()), stack=valid.stack)
    request = replace(_request(o, valid, {}, Recovery()), secrets=secrets, spec_digest=made.spec_digest, targets=targets)
    fresh = await make_plan(request, ledger, connected, held.sealer, sink)
    return replace(planned, plan=remaining(made, fresh.plan, overtaken(made, held.ledger)), state=fresh.state, stack=valid.stack)


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
        overrides=tuple(dict.fromkeys((v.policy, v.reason) for v in planned.plan.verdicts if v.reason)),
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
