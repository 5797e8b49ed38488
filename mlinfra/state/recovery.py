"""After a crash: what became of the operations that never reported back.

Every open create intent is looked up by its token; what is found is adopted, what is not found never came to be. Open
updates and deletes are settled by reading the object again. A create that cannot be looked up stops only its own dependents.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import field

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, StateError
from mlinfra.model.events import Notice, Sink
from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.resource import Desired, ResourceState, made_at
from mlinfra.model.values import Map
from mlinfra.provider.calls import call
from mlinfra.provider.connections import Bound, Connections
from mlinfra.provider.contract import Finds
from mlinfra.provider.failures import Failure
from mlinfra.state.compare import cloak
from mlinfra.state.entries import Close, Drop, Entry, Intent, Ledger, Record
from mlinfra.state.sealing import Sealer, veil


@dataclass(frozen=True, slots=True)
class Recovery:
    """``entries`` put the ledger right; ``uncertain`` addresses must be read before they are planned; of the ``blocked`` ones
    nobody can tell whether they exist: they and their dependents must not be touched (``needs``: what they depend on)."""

    entries: tuple[Entry, ...] = ()
    uncertain: frozenset[str] = frozenset()
    blocked: Mapping[str, Diagnostic] = field(default_factory=dict)
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


async def recover(ledger: Ledger, connections: Connections, sealer: Sealer, sink: Sink) -> Recovery:
    """Look up every open intent, several at a time. Nothing is made twice on a guess."""
    entries: list[Entry] = []
    blocked: dict[str, Diagnostic] = {}
    needs: dict[str, tuple[str, ...]] = {}
    uncertain: set[str] = set()
    creates = {op: intent for op, intent in ledger.intents.items() if intent.operation == "create"}
    for op, intent in ledger.intents.items():
        if op not in creates:
            uncertain.add(intent.address)
            entries += _in_doubt(op, intent, ledger, connections)
    await a_loop()
    answers = await asyncio.gather(*[_look_up(op, intent, connections, sealer) for op, intent in creates.items()])
    never: dict[str, str] = {}
    adopted: dict[str, str] = {}
    for (op, intent), found in zip(creates.items(), answers, strict=True):
        if isinstance(found, Diagnostic):
            blocked[intent.address] = found
            needs[intent.address] = intent.resource.dependencies
        elif found is None:
            entries.extend(_never_made(op, intent, ledger.resources))
            never[intent.address] = "the last run was cut off before it was created"
        else:
            entries.append(Record(resource=found, op=op))
            adopted[intent.address] = f"created by the last run before it was cut off; adopted as {found.id}"
    for message in (
        *_told(adopted, "created by the last run before it was cut off; adopted"),
        *_told(never, "the last run was cut off before they were created"),
    ):
        sink(Notice(message=message))
    return Recovery(tuple(entries), frozenset(uncertain), blocked, needs)


_EACH = 10
"""So many things are told of a line each."""


def _told(each: Mapping[str, str], all_of_them: str) -> list[str]:
    """What became of resources, a line each, or one line where they are many."""
    if len(each) <= _EACH:
        return [f"{address}: {what}" for address, what in each.items()]
    return [f"{len(each):,} resources ({', '.join(list(each)[:3])}, …): {all_of_them}"]


def refuse_blocked(recovery: Recovery, concerned: Set[str]) -> None:
    """StateError when a plan touches what could be looked up when it was made, and cannot be now."""
    problems = [problem for address, problem in recovery.blocked.items() if address in concerned]
    if problems:
        raise StateError(problems)


async def _look_up(op: str, intent: Intent, connections: Connections, sealer: Sealer) -> ResourceState | Diagnostic | None:
    r = intent.resource
    try:
        bound = await connections.bind(r.type, r.provider)
        return await _find(op, intent, bound, sealer)
    except Failure as failure:
        why, hint = failure.message, failure.hint
    except MlinfraError as error:
        why, hint = error.diagnostics[0].message, error.diagnostics[0].hint
    name = r.attributes.get("name")
    called = f" {name!r}" if isinstance(name, str) else ""
    return Diagnostic(
        code="state.unresolved_intent",
        message=f"the last run began to create {intent.address} and was cut off, and what became of it cannot be told: "
        f"looked for the {r.type}{called} with the token {op} at the provider {r.provider}: {why}",
        hint=(hint or "make sure that the provider can be reached, then run this again")
        + f"; if you know that it does not exist: mlinfra state rm {intent.address}",
        address=intent.address,
    )


async def _find(op: str, intent: Intent, bound: Bound, sealer: Sealer) -> ResourceState | None:
    r, kind = intent.resource, bound.type
    if not isinstance(kind, Finds):
        raise Failure(
            f"{r.type} offers no way to find it",
            hint=f"look for it yourself; if it exists: mlinfra state rm {r.address}, then mlinfra import {r.address} ID",
        )
    desired = Desired(address=made_at(r), type=r.type, attributes=r.attributes)
    found = await call(lambda: kind.find(bound.client, desired, op), bound.limiter, provider=bound.provider)
    if found is None and kind.schema.lag:
        await asyncio.sleep(kind.schema.lag)
        found = await call(lambda: kind.find(bound.client, desired, op), bound.limiter, provider=bound.provider)
    if found is None:
        return None
    attributes = veil(Map({**r.attributes, **cloak(found.attributes, r.attributes)}), kind.schema)
    return replace(r, id=found.id, attributes=sealer.seal_attributes(attributes, kind.schema))


def _in_doubt(op: str, intent: Intent, ledger: Ledger, connections: Connections) -> list[Entry]:
    """Close an open update or delete. What an update may have changed and nobody can read back is forgotten, so that the
    next plan sets it again."""
    current = ledger.resources.get((intent.address, ""))
    if intent.operation != "update" or current is None:
        return [Close(op=op)]
    schema = connections.registry.type(current.type).schema
    hidden = {n for n, a in schema.attributes.items() if a.write_only and current.attributes.get(n) is not None}
    if not hidden:
        return [Close(op=op)]
    kept = Map({n: v for n, v in current.attributes.items() if n not in hidden})
    return [Record(resource=replace(current, attributes=kept, version=current.version + 1), op=op)]


def _never_made(op: str, intent: Intent, resources: Mapping[tuple[str, str], ResourceState]) -> list[Entry]:
    """Close the intent; an old object that had stepped aside for the new one is current again."""
    entries: list[Entry] = [Close(op=op)]
    old = resources.get((intent.address, op[:8]))
    if old is not None and (intent.address, "") not in resources:
        back = replace(old, deposed="", version=old.version + 1)
        entries += [Drop(address=intent.address, deposed=op[:8]), Record(resource=back)]
    return entries
