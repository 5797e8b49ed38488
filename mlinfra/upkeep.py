"""What people do around the line: saved plans, rollback, looking at the state and editing it, status and logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mlinfra.lower.stack import Stack
from mlinfra.model.address import matches, parse_address
from mlinfra.model.component import Component
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError, SpecError, StateError
from mlinfra.model.events import Sink, discard
from mlinfra.model.garbage import collect_new
from mlinfra.model.loops import asyncio, run_async
from mlinfra.model.plan import Plan
from mlinfra.model.redaction import redact
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map, SecretDigest, Value, holds, reveal
from mlinfra.provider.contract import Logs
from mlinfra.provider.registry import Registry
from mlinfra.resolve import examine
from mlinfra.state.compare import equal, predict, recollect
from mlinfra.state.entries import Close, Drop, Record, Rename
from mlinfra.state.history import HistoryEntry, find_history, read_history
from mlinfra.state.session import Session
from mlinfra.workflow import Planned, plan, plan_from, validate
from mlinfra.workspace import (
    Options,
    connections,
    examined,
    from_rows,
    location,
    location_now,
    named_as_made,
    session,
    spec_from_texts,
    to_rows,
    validated,
)  # fmt: skip

if TYPE_CHECKING:
    from mlinfra.plan.file import PlanFile
    from mlinfra.state.doctor import Finding
    from mlinfra.state.encryption.rotation import Rotated


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRow:
    """``state``: ok · drifted · gone · tainted · deposed."""

    address: str
    type: str
    id: str
    state: str
    detail: str = ""


def save_plan(o: Options, planned: Planned, file: Path) -> None:
    """Write the plan to ``file``; no secret goes in."""
    from mlinfra.plan.file import PlanFile, write_plan

    content = PlanFile(
        plan=planned.plan,
        files=planned.files,
        variables=planned.variables,
        digests=to_rows(planned.digests),
        secrets=planned.secrets,
    )
    if planned.resolved is None:
        raise PlanError(Diagnostic(code="plan.saved_already", message="this plan came from a file; copy that file"))
    write_plan(file, content, location(o, planned.resolved).sealer(create=True))


def shown_plan(file: Path) -> Planned:
    """A saved plan for somebody who only looks at it: its secrets stay digests, and neither spec nor state is needed."""
    from mlinfra.plan.file import read_plan

    return _planned(read_plan(file))


def _planned(content: PlanFile) -> Planned:
    return Planned(
        plan=content.plan,
        state=State(),
        digests=from_rows(content.digests),
        files=content.files,
        variables=content.variables,
        secrets=content.secrets,
        saved=content.digest,
    )


def load_plan(o: Options, file: Path, *, registry: Registry | None = None) -> Planned:
    """A saved plan, ready to be applied: its secrets are taken from the spec and the variables given now. PlanError when those are
    not what it was made with."""
    from mlinfra.plan.file import read_plan

    planned = _planned(read_plan(file))
    made = planned.plan
    if o.variables:
        _refuse_other_variables(o, planned)
    trees = [(r.attributes, r.lifecycle.replace_when) for r in made.resources.values()]
    if holds((tuple(trees), made.outputs), SecretDigest):
        planned = replace(planned, plan=_with_secrets(o, planned, registry or Registry()))
    return planned


def read_state(o: Options) -> State:
    """The recorded state."""
    return location_now(o).read().freeze()


def open_output(o: Options, name: str) -> Value:
    """A recorded output with what an encrypted state keeps of its secrets in plain; digests where nothing is kept."""
    where = location_now(o)
    return reveal(where.sealer().open(where.read().outputs[name]))


def state_text(o: Options) -> str:
    """The recorded state as JSON text, which :func:`state_push` takes."""
    from mlinfra.state.exchange import to_text

    return to_text(read_state(o))


def state_push(o: Options, file: Path, *, force: bool = False) -> bool:
    """Put the state in ``file`` in the place of the recorded one; False when they are the same already. StateError for a foreign
    lineage, an older serial, or what is broken in itself, unless ``force``."""
    from mlinfra.state.exchange import from_text, push, refuse

    try:
        pushed = from_text(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(Diagnostic(code="state.no_file", message=f"{file} cannot be read: {error}")) from None
    current = read_state(o)
    if current == pushed:
        return False
    if not force:
        refuse(pushed, current)  # before the lock is taken: taking it is a write

    async def act(held: Session) -> None:
        await push(held, pushed, force=force)

    _edit(o, "state push", act)
    return True


def doctor(o: Options, *, mend: bool = False) -> tuple[list[Finding], list[Finding]]:
    """What is wrong with the state, and what of it was repaired (only with ``mend``, and only what is safe)."""
    from mlinfra.state.doctor import examine, repair

    where = location_now(o)
    before = examine(where)
    if not mend or not any(f.safe for f in before):
        return before, []

    async def act(held: Session) -> None:
        await repair(held, where)

    _edit(o, "state doctor", act)
    after = examine(where)
    left = {f.message for f in after}
    return after, [f for f in before if f.safe and f.message not in left]


def state_move(o: Options, source: str, to: str) -> Mapping[str, str]:
    """Give recorded objects another address; old addresses to new ones. StateError when there is none, or the new one is taken."""
    moves: dict[str, str] = {}

    async def act(held: Session) -> None:
        current = held.ledger.freeze().current()
        moves.update({a: to + a[len(source) :] for a in current if matches(source, a)})
        _require(bool(moves), source)
        if not all(parse_address(t) for t in moves.values()):
            hint = 'write it like raw, item["a"], api.config or module.rag.vectors'
            raise StateError(
                Diagnostic(code="state.bad_address", message=f"{source} cannot move to {to!r}: no address", hint=hint)
            )
        taken = [t for t in moves.values() if t in current]
        if taken:
            raise StateError(
                Diagnostic(code="state.taken", message=f"{taken[0]} is recorded already", hint="move or remove that one first")
            )
        await held.append(Rename(moves=Map(moves)))

    _edit(o, "state mv", act)
    return moves


def state_remove(o: Options, addresses: Sequence[str]) -> list[str]:
    """Forget recorded objects, and creates that never reported back, without touching them; the addresses forgotten."""
    forgotten: list[str] = []

    async def act(held: Session) -> None:
        for pattern in addresses:
            found = [k for k in held.ledger.resources if matches(pattern, k[0])]
            begun = [i for i in held.ledger.intents.values() if matches(pattern, i.address)]
            _require(bool(found or begun), pattern)
            forgotten.extend(sorted({*(a for a, _ in found), *(i.address for i in begun)}))
            await held.append(*(Drop(address=a, deposed=d) for a, d in found), *(Close(op=i.op) for i in begun))

    _edit(o, "state rm", act)
    return forgotten


def state_taint(o: Options, addresses: Sequence[str], *, tainted: bool) -> list[str]:
    """Mark recorded objects as damaged, so that the next plan replaces them, or take the mark away; the addresses whose mark changed."""
    marked: list[str] = []

    async def act(held: Session) -> None:
        current = held.ledger.freeze().current()
        for pattern in addresses:
            found = [r for a, r in current.items() if matches(pattern, a)]
            _require(bool(found), pattern)
            changed = [r for r in found if r.tainted is not tainted and not r.existing]
            marked.extend(r.address for r in changed)
            await held.append(*(Record(resource=replace(r, tainted=tainted)) for r in changed))

    _edit(o, "state taint" if tainted else "state untaint", act)
    return marked


def unlock(o: Options, lock_id: str) -> str:
    """Free a lock whoever holds it; who held it."""
    return str(location_now(o).unlock(lock_id))


def rotate_key(o: Options) -> Rotated:
    """Encrypt the state anew with a new data key, wrapped by the first configured key."""
    from mlinfra.state.encryption.rotation import rotate

    return rotate(location_now(o))


def history(o: Options) -> list[HistoryEntry]:
    """Every apply that is kept, oldest first."""

    return read_history(location_now(o))


def rollback_plan(o: Options, number: int | None, sink: Sink = discard, *, registry: Registry | None = None) -> Planned:
    """A plan that restores the world of apply ``number`` (None: the one before the last): its spec, variables and data."""

    registry = registry or Registry()
    if number is None:
        entries = [e for e in history(o) if e.files]
        if len(entries) < 2:
            raise StateError(Diagnostic(code="state.no_history", message="there is no earlier apply to go back to"))
        number = entries[-2].number
    entry = find_history(location_now(o), number)
    if not entry.files:
        raise StateError(
            Diagnostic(
                code="state.no_spec", message=f"apply number {number} was a {entry.operation}: it has no spec to go back to"
            )
        )
    o = replace(o, environment=entry.environment, variables={**entry.variables, **o.variables}, var_files=())
    with spec_from_texts(entry.files) as spec:
        valid = examined(o, spec, registry, recorded=from_rows(entry.digests))
    since = [e for e in history(o) if e.number > number and e.environment == entry.environment]
    moved = (*valid.resolved.moved, *_moves_back(o, since))
    valid = replace(valid, resolved=replace(valid.resolved, moved=moved))
    return run_async(plan_from(o, valid, registry, sink, operation=f"rollback to {number}"))


def _moves_back(o: Options, since: Sequence[HistoryEntry]) -> list[tuple[str, str]]:
    """What undoes the ``moved`` blocks of the applies ``since``, the newest first: going back moves objects home, too."""
    found: dict[tuple[str, str], None] = {}
    for entry in reversed(since):
        inputs = replace(o, environment=entry.environment, variables=entry.variables, var_files=()).inputs
        with spec_from_texts(entry.files) if entry.files else nullcontext() as spec:
            resolved = examine(spec, inputs)[0] if spec is not None else None
        found.update(dict.fromkeys((to, source) for source, to in (resolved.moved if resolved else ())))
    return list(found)


def status(o: Options, sink: Sink = discard, *, registry: Registry | None = None) -> list[StatusRow]:
    """Every recorded object, compared with the world."""
    planned = plan(replace(o, mode="refresh_only"), sink, registry=registry)
    drift = {d.address: d for d in planned.plan.drift}
    rows: list[StatusRow] = []
    for (address, deposed), r in sorted(location_now(o).read().resources.items()):
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
    valid = validated(o, registry)
    found = location(o, valid.resolved).read().resources.get((address, ""))
    if found is None:
        raise StateError(
            Diagnostic(code="state.no_such_address", message=f"{address} is not recorded", hint="see mlinfra state list")
        )
    kind = registry.type(found.type)
    if not isinstance(kind, Logs):
        raise PlanError(Diagnostic(code="logs.none", message=f"a {found.type} keeps no log"))
    collect_new()  # it may follow for days
    loop = asyncio.new_event_loop()
    connected = connections(o, valid.resolved, registry)
    try:
        client = loop.run_until_complete(connected.client(found.provider))
        lines = kind.logs(client, found, follow=follow)
        while True:
            try:
                yield redact(loop.run_until_complete(anext(lines)))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(connected.close())
        loop.close()


def explain_address(
    o: Options, address: str, *, registry: Registry | None = None
) -> tuple[Component | None, tuple[Resource, ...]]:
    """The component at ``address`` and the native resources that it becomes."""
    registry = registry or Registry()
    valid = validated(o, registry)
    stack = named_as_made(valid, location(o, valid.resolved).read().freeze(), registry).stack
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


def _edit(o: Options, operation: str, act: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        async with session(o, location_now(o), operation, discard) as held:
            await act(held)

    run_async(run())


def _require(found: bool, address: str) -> None:
    if not found:
        raise StateError(
            Diagnostic(code="state.no_such_address", message=f"{address} is not recorded", hint="see mlinfra state list")
        )


def _refuse_other_variables(o: Options, planned: Planned) -> None:
    given = replace(o, environment=planned.plan.environment, variables={**planned.variables, **o.variables})
    with spec_from_texts(planned.files) as spec:
        found, problems = examine(spec, given.inputs)
    if problems:
        raise SpecError(problems)
    other = [name for name in o.variables if found.variables.get(name) != planned.variables.get(name)]
    if other:
        shown = ", ".join(f"--var {name}" for name in other)
        hint = "a plan is applied as it was approved, or not at all: give it to mlinfra plan"
        raise PlanError(
            Diagnostic(code="plan.other_variables", message=f"the plan was made with another value than {shown}", hint=hint)
        )


def _with_secrets(o: Options, planned: Planned, registry: Registry) -> Plan:
    """The plan with the secrets that its file does not hold, taken from the spec and the variables of now."""
    made = planned.plan
    o = replace(o, environment=made.environment, variables={**planned.variables, **o.variables})
    with spec_from_texts(planned.files) as spec:
        valid = examined(o, spec, registry, recorded=planned.digests)
    where = location(o, valid.resolved)
    stack, sealer = named_as_made(valid, where.read().freeze(), registry).stack, where.sealer()
    filled: dict[str, Resource] = {}
    for address, resource in made.resources.items():
        now = stack.resources.get(address)
        if now is None or not equal(resource.attributes, now.attributes, sealer):
            raise PlanError(
                Diagnostic(
                    code="plan.other_secrets",
                    message=f"the secrets of {address} are not those that the plan was made with",
                    hint="give the same values (--var, MLINFRA_VAR_…, --var-file), or plan again",
                )
            )
        filled[address] = replace(resource, attributes=now.attributes, lifecycle=now.lifecycle)
    outputs = {
        n: stack.outputs[n] if n in stack.outputs and equal(v, stack.outputs[n], sealer) else v for n, v in made.outputs.items()
    }
    return replace(made, resources=filled, prior=_remembered(made, stack, registry), outputs=Map(outputs))


def _remembered(made: Plan, stack: Stack, registry: Registry) -> Mapping[tuple[str, str], ResourceState]:
    """What refers to objects that stay sees their secrets: the spec gives those that it made them with."""
    found: dict[tuple[str, str], ResourceState] = {}
    for key, r in made.prior.items():
        now = stack.resources.get(r.address)
        if now is not None and not r.deposed and now.type == r.type and r.address not in made.resources:
            known = {**predict(registry.type(r.type).schema, now.attributes), **now.attributes}
            r = replace(r, attributes=recollect(r.attributes, known))
        found[key] = r
    return found
