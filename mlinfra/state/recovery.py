"""After a crash: what became of the operations that never reported back.

Every open create intent is looked up by its token; what is found is adopted, what is not found never came to be. Open
updates and deletes are settled by reading the object again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.events import Notice, Sink
from mlinfra.model.resource import Desired, ResourceState, made_at
from mlinfra.model.values import Map
from mlinfra.provider.calls import call
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import Finds
from mlinfra.provider.failures import Failure
from mlinfra.state.compare import cloak
from mlinfra.state.entries import Close, Drop, Entry, Intent, Ledger, Record
from mlinfra.state.sealing import Sealer, veil


@dataclass(frozen=True, slots=True)
class Recovery:
    """``entries`` put the ledger right; ``uncertain`` addresses must be read before they are planned."""

    entries: tuple[Entry, ...] = ()
    uncertain: frozenset[str] = frozenset()


async def recover(ledger: Ledger, connections: Connections, sealer: Sealer, sink: Sink) -> Recovery:
    """Look up every open intent. StateError for those that cannot be looked up now: nothing is made twice on a guess."""
    entries: list[Entry] = []
    problems: list[Diagnostic] = []
    uncertain: set[str] = set()
    for op, intent in ledger.intents.items():
        if intent.operation != "create":
            uncertain.add(intent.address)
            entries.append(Close(op=op))
            continue
        try:
            found = await _find(op, intent, connections, sealer)
        except Failure as failure:
            problems.append(
                Diagnostic(
                    code="state.unresolved_intent",
                    message=f"the last run began to create {intent.address} ({intent.resource.type}) and was cut off; "
                    f"what became of it cannot be looked up: {failure.message}",
                    hint=failure.hint or "make sure that the provider can be reached, then run this again",
                    address=intent.address,
                )
            )
            continue
        if found is None:
            entries.extend(_never_made(op, intent, ledger.resources))
            sink(Notice(message=f"{intent.address}: the last run was cut off before it was created"))
        else:
            entries.append(Record(resource=found, op=op))
            sink(Notice(message=f"{intent.address}: created by the last run before it was cut off; adopted as {found.id}"))
    if problems:
        raise StateError(problems)
    return Recovery(tuple(entries), frozenset(uncertain))


async def _find(op: str, intent: Intent, connections: Connections, sealer: Sealer) -> ResourceState | None:
    r = intent.resource
    bound = await connections.bind(r.type, r.provider)
    kind = bound.type
    if not isinstance(kind, Finds):
        raise Failure(
            f"{r.type} offers no way to find it",
            hint=f"look for it yourself; then mlinfra state rm {r.address}, and if it exists: mlinfra import {r.address} ID",
        )
    desired = Desired(address=made_at(r), type=r.type, attributes=r.attributes)
    found = await call(lambda: kind.find(bound.client, desired, op), bound.limiter, provider=r.provider)
    if found is None:
        return None
    attributes = veil(Map({**r.attributes, **cloak(found.attributes, r.attributes)}), kind.schema)
    return replace(r, id=found.id, attributes=sealer.seal_attributes(attributes, kind.schema))


def _never_made(op: str, intent: Intent, resources: Mapping[tuple[str, str], ResourceState]) -> list[Entry]:
    """Close the intent; an old object that had stepped aside for the new one is current again."""
    entries: list[Entry] = [Close(op=op)]
    old = resources.get((intent.address, op[:8]))
    if old is not None and (intent.address, "") not in resources:
        back = replace(old, deposed="", version=old.version + 1)
        entries += [Drop(address=intent.address, deposed=op[:8]), Record(resource=back)]
    return entries
