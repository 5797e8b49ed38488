"""The straight line, spelled out once: load → resolve → lower → graph → refresh → diff → plan → apply → state.

Every function is synchronous and takes :class:`Options`; progress goes to a sink of events; errors are MlinfraErrors.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlinfra.lower import lower
from mlinfra.lower.stack import Stack
from mlinfra.model.component import Component
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError, SpecError, StateError
from mlinfra.model.events import ApplyFinished, Notice, Sink, discard
from mlinfra.model.plan import Plan
from mlinfra.model.resource import Resource
from mlinfra.model.state import State
from mlinfra.model.values import EMPTY, Map, SecretDigest, leaves
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import FileDigest, Logs, ProviderContext
from mlinfra.provider.registry import Registry
from mlinfra.resolve import resolve
from mlinfra.resolve.files import excluded_paths, read_digests
from mlinfra.resolve.resolved import Inputs, Resolved
from mlinfra.spec.document import Spec
from mlinfra.spec.loader import load
from mlinfra.state.entries import Drop, Entry, Ledger, Rename
from mlinfra.state.history import DigestRow
from mlinfra.state.session import Location, Session, open_session
from mlinfra.state.store import LocalStore

if TYPE_CHECKING:
    from mlinfra.apply.stop import Stop
    from mlinfra.plan.planner import Request
    from mlinfra.state.history import HistoryEntry

Mode = Literal["normal", "destroy", "refresh_only"]
Digests = Mapping[tuple[str, str], FileDigest]

HOME = ".mlinfra"
"""The folder beside the spec that holds local state and local data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person says on the command line. ``directory`` is the spec's folder, ``environ`` the process environment."""

    directory: Path
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    refresh: bool = True
    mode: Mode = "normal"
    parallelism: int | None = None
    lock_timeout: float = 0.0
    allow_data_loss: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A spec that holds together: what it asks for, and the native resources that this becomes."""

    resolved: Resolved
    stack: Stack
    digests: Digests
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and what it was made from. ``stack`` and ``spec`` are None when it was loaded from a file."""

    plan: Plan
    state: State
    stack: Stack | None = None
    spec: Spec | None = None
    digests: Digests = field(default_factory=dict)
    operation: str = "apply"
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Map = EMPTY
    imports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply left. ``outputs`` holds values, sensitive ones as Secret; no ``failures``: success."""

    state: State
    outputs: Map
    failures: tuple[Diagnostic, ...]
    summary: ApplyFinished
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRow:
    """``state``: ok · drifted · gone · tainted · deposed."""

    address: str
    type: str
    id: str
    state: str
    detail: str = ""


def validate(o: Options, registry: Registry | None = None) -> Validated:
    """Load, resolve and lower. SpecError or PlanError with every problem found."""
    return _validate(o, load(o.directory), registry or Registry())


def plan(o: Options, sink: Sink = discard, *, registry: Registry | None = None) -> Planned:
    """Everything that apply would do. Takes no lock, changes nothing."""
    registry = registry or Registry()
    valid = _validate(o, load(o.directory), registry)
    return asyncio.run(_plan(o, valid, registry, sink, operation="destroy" if o.mode == "destroy" else "apply"))


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


def save_plan(o: Options, planned: Planned, file: Path) -> None:
    """Write the plan to ``file``; no secret goes in."""
    from mlinfra.plan.file import PlanFile, write_plan

    content = PlanFile(plan=planned.plan, files=planned.files, variables=planned.variables, digests=_to_rows(planned.digests))
    write_plan(file, content, _location(o, _resolved_again(o, planned)).sealer(create=True))


def load_plan(o: Options, file: Path, *, registry: Registry | None = None) -> Planned:
    """A saved plan, ready to be applied: its secrets are taken from the spec and the variables given now."""
    from mlinfra.plan.file import read_plan

    content = read_plan(file)
    made = content.plan
    digests = {(p, m): FileDigest(d, size, count, single) for p, m, d, size, count, single in content.digests}
    planned = Planned(plan=made, state=State(), digests=digests, files=content.files, variables=content.variables)
    if any(isinstance(leaf, SecretDigest) for r in made.resources.values() for _, leaf in leaves(r.attributes)):
        planned = replace(planned, plan=_with_secrets(o, planned, registry or Registry()))
    return planned


def import_resource(o: Options, address: str, id: str, sink: Sink = discard, *, registry: Registry | None = None) -> Applied:
    """Adopt an existing object as ``address``, whose block must stand in the spec; changes nothing in the world."""
    registry = registry or Registry()
    valid = _validate(o, load(o.directory), registry)
    if address not in valid.stack.resources:
        raise SpecError(
            Diagnostic(
                code="import.no_block",
                message=f"there is no resource {address} in the spec to import into",
                hint=f"write its block first; natives: {', '.join(list(valid.stack.resources)[:8])}",
            )
        )
    recorded = _location(o, valid.resolved).read().resources
    if (address, "") in recorded:
        raise PlanError(
            Diagnostic(code="import.exists", message=f"{address} is recorded already", hint=f"mlinfra state rm {address} first")
        )
    o = replace(o, targets=(address,))
    planned = asyncio.run(_plan(o, valid, registry, sink, operation="import", imports={address: id}))
    only = tuple(c for c in planned.plan.changes if c.address == address)
    steps = tuple(replace(s, change=0, needs=()) for s in planned.plan.steps if planned.plan.changes[s.change].address == address)
    steps = tuple(s for s in steps if s.operation.value == "import")
    adopted = replace(planned.plan, changes=only, steps=steps, outputs=EMPTY, sensitive_outputs=(), output_changes=())
    return apply(o, replace(planned, plan=adopted), sink, registry=registry)


def read_state(o: Options) -> State:
    """The recorded state."""
    return _location_now(o).read().freeze()


def state_text(o: Options) -> str:
    """The recorded state as JSON text."""
    from mlinfra.state.codec import encode, encode_resource

    state = read_state(o)
    tree = {
        "lineage": state.lineage,
        "serial": state.serial,
        "outputs": encode(state.outputs),
        "sensitive_outputs": list(state.sensitive_outputs),
        "resources": [encode_resource(r) for _, r in sorted(state.resources.items())],
    }
    return json.dumps(tree, indent=2)


def state_move(o: Options, source: str, to: str) -> None:
    """Give a recorded object another address. StateError when there is none, or the new address is taken."""

    async def act(session: Session) -> None:
        current = session.ledger.freeze().current()
        moves = {a: to + a[len(source) :] for a in current if a == source or a.startswith((source + ".", source + "["))}
        _require(bool(moves), source)
        taken = [t for t in moves.values() if t in current]
        if taken:
            raise StateError(
                Diagnostic(code="state.taken", message=f"{taken[0]} is recorded already", hint="move or remove that one first")
            )
        await session.append(Rename(moves=Map(moves)))

    _edit(o, "state mv", act)


def state_remove(o: Options, addresses: Sequence[str]) -> list[str]:
    """Forget recorded objects without touching them; the addresses forgotten."""
    forgotten: list[str] = []

    async def act(session: Session) -> None:
        for pattern in addresses:
            found = [k for k in session.ledger.resources if k[0] == pattern or k[0].startswith((pattern + ".", pattern + "["))]
            _require(bool(found), pattern)
            forgotten.extend(sorted({a for a, _ in found}))
            await session.append(*(Drop(address=a, deposed=d) for a, d in found))

    _edit(o, "state rm", act)
    return forgotten


def unlock(o: Options, lock_id: str) -> str:
    """Free a lock whoever holds it; who held it."""
    return str(_location_now(o).unlock(lock_id))


def history(o: Options) -> list[HistoryEntry]:
    """Every apply that is kept, oldest first."""
    from mlinfra.state.history import read_history

    return read_history(_location_now(o))


def rollback_plan(o: Options, number: int | None, sink: Sink = discard, *, registry: Registry | None = None) -> Planned:
    """A plan that restores the world of apply ``number`` (None: the one before the last): its spec, variables and data."""
    from mlinfra.state.history import find_history

    registry = registry or Registry()
    if number is None:
        entries = [e for e in history(o) if e.files]
        if len(entries) < 2:
            raise StateError(Diagnostic(code="state.no_history", message="there is no earlier apply to go back to"))
        number = entries[-2].number
    entry = find_history(_location_now(o), number)
    if not entry.files:
        raise StateError(
            Diagnostic(
                code="state.no_spec", message=f"apply number {number} was a {entry.operation}: it has no spec to go back to"
            )
        )
    spec = _spec_of(o, entry.files)
    o = replace(o, environment=entry.environment, variables={**entry.variables, **o.variables}, var_files=())
    digests = {(p, m): FileDigest(d, size, count, single) for p, m, d, size, count, single in entry.digests}
    valid = _validate(o, spec, registry, recorded=digests)
    return asyncio.run(_plan(o, valid, registry, sink, operation=f"rollback to {number}"))


def status(o: Options, sink: Sink = discard, *, registry: Registry | None = None) -> list[StatusRow]:
    """Every recorded object, compared with the world."""
    planned = plan(replace(o, mode="refresh_only"), sink, registry=registry)
    drift = {d.address: d for d in planned.plan.drift}
    rows: list[StatusRow] = []
    for (address, deposed), r in sorted(_location_now(o).read().resources.items()):
        found = drift.get(address) if not deposed else None
        names = ", ".join(dict.fromkeys(str(a.path[0]) for a in found.attributes)) if found else ""
        word = (
            "deposed" if deposed else "gone" if found and found.gone else "drifted" if found else "tainted" if r.tainted else "ok"
        )
        rows.append(StatusRow(address=address, type=r.type, id=r.id, state=word, detail=names))
    return rows


def logs(o: Options, address: str, follow: bool, *, registry: Registry | None = None) -> Iterator[str]:
    """The log of a recorded object, line by line."""
    registry = registry or Registry()
    valid = _validate(o, load(o.directory), registry)
    found = _location(o, valid.resolved).read().resources.get((address, ""))
    if found is None:
        raise StateError(
            Diagnostic(code="state.no_such_address", message=f"{address} is not recorded", hint="see mlinfra state list")
        )
    kind = registry.type(found.type)
    if not isinstance(kind, Logs):
        raise PlanError(Diagnostic(code="logs.none", message=f"a {found.type} keeps no log"))
    loop = asyncio.new_event_loop()
    connections = _connections(o, valid.resolved, registry)
    try:
        client = loop.run_until_complete(connections.client(found.provider))
        lines = kind.logs(client, found, follow=follow)
        while True:
            try:
                yield loop.run_until_complete(anext(lines))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(connections.close())
        loop.close()


def explain_address(
    o: Options, address: str, *, registry: Registry | None = None
) -> tuple[Component | None, tuple[Resource, ...]]:
    """The component at ``address`` and the native resources that it becomes."""
    stack = validate(o, registry).stack
    natives = tuple(r for r in stack.resources.values() if address in (r.component, r.address))
    component = stack.components.get(address) or (stack.components.get(natives[0].component) if natives else None)
    return component, natives


def dependency_graph(o: Options, *, registry: Registry | None = None) -> Mapping[str, tuple[str, ...]]:
    """Native resources by address, each with the addresses that it needs."""
    from mlinfra.graph.edges import dependencies, ordered_or_refused

    resources = validate(o, registry).stack.resources
    edges = dependencies(resources)
    ordered_or_refused(resources, edges)
    return edges


def _validate(o: Options, spec: Spec, registry: Registry, *, recorded: Digests | None = None) -> Validated:
    inputs = Inputs(environment=o.environment, variables=o.variables, var_files=o.var_files, environ=o.environ)
    resolved = resolve(spec, inputs)
    digests = read_digests(resolved, recorded=recorded)
    stack = lower(resolved, registry, digests)
    _check_removed(resolved, stack)
    return Validated(resolved=resolved, stack=stack, digests=digests, warnings=resolved.warnings)


def _check_removed(resolved: Resolved, stack: Stack) -> None:
    standing = [r.source for r in resolved.removed if r.source in stack.resources]
    if standing:
        raise SpecError(
            Diagnostic(
                code="spec.removed_stands",
                message=f"{standing[0]} is listed under removed, but its block still stands in the spec",
                hint="delete the block, or the removed entry",
            )
        )


async def _plan(
    o: Options, valid: Validated, registry: Registry, sink: Sink, *, operation: str, imports: Mapping[str, str] | None = None
) -> Planned:
    from mlinfra.plan.planner import make_plan
    from mlinfra.state.recovery import recover

    location = _location(o, valid.resolved)
    ledger = location.read()
    sealer = location.sealer()
    connections = _connections(o, valid.resolved, registry)
    try:
        uncertain: frozenset[str] = frozenset()
        holder = location.holder() if ledger.intents else None
        if ledger.intents and holder is None:
            recovery = await recover(ledger, connections, sealer, sink)
            _replay(ledger, recovery.entries)
            uncertain = recovery.uncertain
        elif holder is not None:
            sink(Notice(message=f"{holder} is at work on this state: the plan may be out of date before you read it"))
        request = _request(o, valid, imports or {}, uncertain)
        made = await make_plan(request, ledger.freeze(), connections, sealer, sink)
    finally:
        await connections.close()
    return Planned(
        plan=made.plan,
        state=made.state,
        stack=valid.stack,
        spec=valid.resolved.spec,
        digests=valid.digests,
        operation=operation,
        files=valid.resolved.spec.files,
        variables=valid.resolved.variables,
        imports=imports or {},
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

    made = planned.plan
    resolved = _resolved_again(o, planned)
    location = _location(o, resolved)
    if made.is_empty and not made.has_notes and not location.read().intents:
        nothing = ApplyFinished(added=0, changed=0, destroyed=0, failed=0, blocked=0, unchanged=0, elapsed=0.0)
        return Applied(state=planned.state, outputs=planned.state.outputs, failures=(), summary=nothing)
    connections = _connections(o, resolved, registry)
    async with _session(location, planned.operation, o.lock_timeout, sink) as session:
        try:
            if session.ledger.intents:
                recovery = await recover(session.ledger, connections, session.sealer, discard)
                await session.append(*recovery.entries)
            check_fresh(made, session.ledger)
            outcome = await execute(made, session, connections, sink, stop)
        finally:
            await connections.close()
        state = session.ledger.freeze()
    await asyncio.to_thread(_remember, location, planned, state, outcome.summary, str(session.lease))
    return Applied(
        state=state, outputs=outcome.outputs, failures=outcome.failures, summary=outcome.summary, interrupted=outcome.interrupted
    )


def _remember(location: Location, planned: Planned, state: State, summary: ApplyFinished, owner: str) -> None:
    from mlinfra.state.history import HistoryEntry, append_history

    ended = "" if not summary.failed and not summary.blocked else f", {summary.failed} failed, {summary.blocked} not tried"
    destroyed = planned.plan.mode == "destroy"
    entry = HistoryEntry(
        number=0,
        time=time.time(),
        operation=planned.operation,
        summary=f"{summary.added} added, {summary.changed} changed, {summary.destroyed} destroyed{ended}",
        serial=state.serial,
        environment=planned.plan.environment,
        spec_digest=planned.plan.spec_digest,
        owner=owner,
        files={} if destroyed else planned.files,
        variables=planned.variables,
        digests=_to_rows(planned.digests),
    )
    append_history(location, entry)


@asynccontextmanager
async def _session(location: Location, operation: str, lock_timeout: float, sink: Sink):  # type: ignore[no-untyped-def]
    session = await asyncio.to_thread(open_session, location, operation, lock_timeout=lock_timeout)
    if session.taken_from is not None:
        sink(Notice(message=f"took over the lock of {session.taken_from}, which is gone"))
    try:
        yield session
    finally:
        await session.close()


def _edit(o: Options, operation: str, act: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        async with _session(_location_now(o), operation, o.lock_timeout, discard) as session:
            await act(session)

    asyncio.run(run())


def _require(found: bool, address: str) -> None:
    if not found:
        raise StateError(
            Diagnostic(code="state.no_such_address", message=f"{address} is not recorded", hint="see mlinfra state list")
        )


def _replay(ledger: Ledger, entries: Sequence[Entry]) -> None:
    for entry in entries:
        ledger.apply(entry)


def _location_now(o: Options) -> Location:
    """The state of the spec in ``o.directory``; only its head is looked at, so that a broken resource does not hide the state."""
    spec = load(o.directory)
    inputs = Inputs(environment=o.environment, variables=o.variables, var_files=o.var_files, environ=o.environ)
    head = resolve(replace(spec, resources={}, modules={}, outputs={}, moved=(), removed=(), imports=()), inputs)
    return _location(o, head)


def _location(o: Options, resolved: Resolved) -> Location:
    store = resolved.state.get("store", "local")
    if store != "local":
        raise SpecError(
            Diagnostic(
                code="state.unknown_store",
                message=f"there is no state store {store!r} in this version",
                hint="use `state: {store: local}` or leave it out",
            )
        )
    base = _base(o)
    home = base / HOME
    path = resolved.state.get("path")
    if not path and base.is_dir() and not (home / ".gitignore").exists():
        home.mkdir(exist_ok=True)
        (home / ".gitignore").write_text("*\n")
    root = base / str(path) if path else home / "state"
    return Location(LocalStore(root), f"{resolved.project}/{resolved.environment or 'default'}/")


def _base(o: Options) -> Path:
    directory = o.directory.resolve()
    return directory.parent if directory.is_file() else directory


def _connections(o: Options, resolved: Resolved, registry: Registry) -> Connections:
    base, excluded = _base(o), excluded_paths(resolved)
    where = f"{resolved.project}-{resolved.environment or 'default'}"

    def context(instance: str) -> ProviderContext:
        data = base / HOME / instance.partition(".")[0] / where
        return ProviderContext(
            project=resolved.project, environment=resolved.environment, base=base, data=data, excluded=excluded
        )

    return Connections(registry, resolved.providers, context, parallelism=o.parallelism)


def _resolved_again(o: Options, planned: Planned) -> Resolved:
    """The spec that ``planned`` was made from, for its settings: where its state is, how its providers connect."""
    spec = planned.spec or _spec_of(o, planned.files)
    environment = planned.plan.environment or o.environment
    inputs = Inputs(
        environment=environment, variables={**planned.variables, **o.variables}, var_files=o.var_files, environ=o.environ
    )
    return resolve(spec, inputs)


def _spec_of(o: Options, files: Mapping[str, str]) -> Spec:
    """A spec from its texts, as if it stood in the spec's folder."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mlinfra-spec-") as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return replace(load(Path(folder)), root=_base(o))


def _with_secrets(o: Options, planned: Planned, registry: Registry) -> Plan:
    """The plan with the secrets that its file does not hold, taken from the spec and the variables of now."""
    made = planned.plan
    o = replace(o, environment=made.environment, variables={**planned.variables, **o.variables})
    valid = _validate(o, _spec_of(o, planned.files), registry, recorded=planned.digests)
    stack, sealer = valid.stack, _location(o, valid.resolved).sealer()
    filled: dict[str, Resource] = {}
    for address, resource in made.resources.items():
        now = stack.resources.get(address)
        if now is None or sealer.seal(now.attributes) != resource.attributes:
            raise PlanError(
                Diagnostic(
                    code="plan.other_secrets",
                    message=f"the secrets of {address} are not those that the plan was made with",
                    hint="give the same values (MLINFRA_VAR_…, --var-file), or plan again",
                )
            )
        filled[address] = replace(resource, attributes=now.attributes)
    return replace(made, resources=filled)


def _spec_digest(valid: Validated) -> str:
    text = json.dumps(
        [sorted(valid.resolved.spec.files.items()), valid.resolved.environment, valid.resolved.variables, _to_rows(valid.digests)]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _to_rows(digests: Digests) -> tuple[DigestRow, ...]:
    return tuple((path, mode, d.digest, d.size, d.files, d.single) for (path, mode), d in sorted(digests.items()))


def _from_rows(rows: Sequence[DigestRow]) -> dict[tuple[str, str], FileDigest]:
    return {(path, mode): FileDigest(*rest) for path, mode, *rest in rows}
