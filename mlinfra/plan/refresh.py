"""Read the world: what the state records, as it stands now. Drift is reported apart from changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from mlinfra.model.change import Drift
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic, Severity
from mlinfra.model.errors import PlanError
from mlinfra.model.events import RefreshProgress, RefreshStarted, Sink
from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.resource import Observed, ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map, Value
from mlinfra.plan.holders import fate, holders_first
from mlinfra.provider.calls import call
from mlinfra.provider.connections import Bound, Connections
from mlinfra.provider.contract import Migrates, ReadsMany
from mlinfra.provider.failures import Failure, Transient
from mlinfra.state.compare import cloak, drifted
from mlinfra.state.sealing import Sealer, veil

Key = tuple[str, str]
Answered = Callable[[Key, Observed | Failure | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """``state`` holds the world's values, with secrets in memory; ``gone`` what was recorded and is not there any more."""

    state: State
    drift: tuple[Drift, ...] = ()
    gone: tuple[Key, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


async def refresh(
    state: State, connections: Connections, sealer: Sealer, sink: Sink, *, only: frozenset[Key] | None = None
) -> Refreshed:
    """Read every recorded object (or ``only`` some), by list calls where a type has them.

    An object that cannot be read because something that it depends on has drifted or is gone is taken as recorded, with a
    warning; PlanError, naming each, for every other object that cannot be read."""
    groups: dict[tuple[str, str], list[ResourceState]] = defaultdict(list)
    migrated: dict[Key, ResourceState] = {}
    type_of = connections.registry.type
    for key, r in state.resources.items():
        kind = type_of(r.type)
        schema = kind.schema
        if r.schema_version != schema.version and isinstance(kind, Migrates):
            attributes = kind.migrate(r.attributes, r.schema_version)
            r = replace(r, attributes=attributes, schema_version=schema.version)
            migrated[key] = r
        if not schema.virtual and (only is None or key in only):
            groups[(r.type, r.provider)].append(r)
    total = sum(len(group) for group in groups.values())
    if not total:
        return Refreshed(state=replace(state, resources={**state.resources, **migrated}) if migrated else state)
    await a_loop()
    sink(RefreshStarted(total=total))
    answers: dict[Key, Observed | Failure | None] = {}
    done = 0

    def answered(key: Key, answer: Observed | Failure | None) -> None:
        nonlocal done
        answers[key] = answer
        done += 1
        if done == total or done % 50 == 0:
            sink(RefreshProgress(done=done, total=total))

    await asyncio.gather(
        *[_read_group(name, instance, group, connections, answered) for (name, instance), group in groups.items()]
    )
    return _merge(state, migrated, answers, connections, sealer)


async def _read_group(
    type_name: str, instance: str, group: Sequence[ResourceState], connections: Connections, answered: Answered
) -> None:
    bound = await connections.bind(type_name, instance)
    kind = bound.type
    if isinstance(kind, ReadsMany):
        try:
            found: Mapping[str, Observed] = await call(
                lambda: kind.read_many(bound.client, group), bound.limiter, provider=instance
            )
        except Failure as failure:
            for r in group:
                answered(r.key, failure)
            return
        missing = [r for r in group if r.id not in found]
        if missing and kind.schema.lag:  # perhaps only not shown yet
            await asyncio.sleep(kind.schema.lag)
            await asyncio.gather(*[_read_one(bound, r, answered, again=False) for r in missing])
        for r in group:
            if r.id in found or not kind.schema.lag:
                answered(r.key, found.get(r.id))
        return
    await asyncio.gather(*[_read_one(bound, r, answered) for r in group])


async def _read_one(bound: Bound, r: ResourceState, answered: Answered, *, again: bool = True) -> None:
    """Read one object; where the cloud lags, nothing is gone before it was looked for twice."""
    try:
        found = await call(lambda: bound.type.read(bound.client, r), bound.limiter, provider=bound.provider)
        if found is None and again and bound.type.schema.lag:
            await asyncio.sleep(bound.type.schema.lag)
            found = await call(lambda: bound.type.read(bound.client, r), bound.limiter, provider=bound.provider)
        answered(r.key, found)
    except Failure as failure:
        answered(r.key, failure)


def _merge(
    state: State,
    migrated: Mapping[Key, ResourceState],
    answers: Mapping[Key, Observed | Failure | None],
    connections: Connections,
    sealer: Sealer,
) -> Refreshed:
    resources = {**state.resources, **migrated}
    drift: list[Drift] = []
    gone: list[Key] = []
    unreadable: dict[Key, Failure] = {}
    lost: dict[str, list[ResourceState]] = {}
    moved: dict[str, dict[Value, Value]] = {}
    schema_of = connections.registry.schema
    for r in holders_first([resources[key] for key in answers], schema_of):
        key, schema = r.key, schema_of(r.type)
        answer = fate(r, schema_of, answers[key], lost, moved) if schema.inside else answers[key]
        if isinstance(answer, Failure):
            unreadable[key] = answer
            continue
        if answer is None:
            gone.append(key)
            del resources[key]
            lost.setdefault(r.address, []).append(r)
            if not r.deposed:
                drift.append(Drift(address=r.address, type=r.type, kind=r.kind, component=r.component, gone=True))
            continue
        observed = veil(cloak(answer.attributes, r.attributes), schema)
        found = drifted(schema, r.attributes, observed, sealer)
        if found and not r.deposed:
            drift.append(Drift(address=r.address, type=r.type, kind=r.kind, component=r.component, attributes=found))
        moved[r.address] = {a.before: a.after for a in found if len(a.path) == 1 and isinstance(a.before, str)}
        resources[key] = replace(r, id=answer.id, attributes=Map({**r.attributes, **observed}))
    warnings = _excuse(unreadable, resources, {d.address for d in drift})
    return Refreshed(state=replace(state, resources=resources), drift=tuple(drift), gone=tuple(gone), warnings=warnings)


def _excuse(unreadable: Mapping[Key, Failure], resources: Mapping[Key, ResourceState], moved: set[str]) -> tuple[Diagnostic, ...]:
    """Warnings for what a drifted dependency explains; PlanError for the rest."""
    warnings: list[Diagnostic] = []
    problems: list[Diagnostic] = []
    for key, failure in unreadable.items():
        r = resources[key]
        cause = next((d for d in _upstream(r, resources) if d in moved), None) if isinstance(failure, Transient) else None
        if cause is not None:
            warnings.append(
                Diagnostic(
                    code="refresh.taken_as_recorded",
                    severity=Severity.WARNING,
                    message=f"{r.address} cannot be read while {cause} is not as it should be; it is taken as recorded",
                    address=r.address,
                )
            )
        else:
            problems.append(
                Diagnostic(
                    code=failure.code,
                    message=f"{r.address} ({r.type}) cannot be read: {failure.message}",
                    hint=failure.hint or "see to it that it can be reached, or plan with --no-refresh",
                    address=r.address,
                )
            )
    if problems:
        raise PlanError(problems)
    return tuple(warnings)


def _upstream(r: ResourceState, resources: Mapping[Key, ResourceState]) -> list[str]:
    seen: dict[str, None] = {}
    queue = list(r.dependencies)
    while queue:
        address = queue.pop()
        if address not in seen:
            seen[address] = None
            found = resources.get((address, ""))
            if found is not None:
                queue.extend(found.dependencies)
    return list(seen)
