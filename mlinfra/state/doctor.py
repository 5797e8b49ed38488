"""What is wrong with a recorded state, what to do about each thing, and the repair of what can be repaired without a guess."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.state.entries import Drop, Entry, Record
from mlinfra.state.history import damaged_history
from mlinfra.state.journal import JOURNAL, SNAPSHOT, Reading
from mlinfra.state.segments import Damage, decode_segment, decode_snapshot, segment_number
from mlinfra.state.session import Location, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``remedy`` says what to do; ``safe``: ``--repair`` does it; ``note``: worth knowing, and does no harm."""

    code: str
    message: str
    remedy: str = ""
    safe: bool = False
    note: bool = False


def examine(location: Location) -> list[Finding]:
    """Everything that is wrong, or worth knowing. Needs no lock and changes nothing."""
    found = list(_lock(location))
    try:
        reading = location.reading()
    except StateError as error:
        found += [Finding(code=d.code, message=d.message, remedy=d.hint) for d in error.diagnostics]
        found += _blobs(location)
    else:
        found += _journal(reading)
        found += _intents(reading, busy=location.holder() is not None)
        found += _invariants(reading.ledger.freeze())
    found += [
        Finding(
            code="history.damaged",
            message=f"{key} cannot be read: {why}",
            remedy="rollback to that apply is not possible; --repair sets it aside",
            safe=True,
        )
        for key, why in damaged_history(location)
    ]
    found += [
        Finding(
            code="state.set_aside",
            message=f"{key} was set aside by an earlier repair",
            remedy="delete it when nobody wants to look at it any more",
            note=True,
        )
        for key in location.store.list(location.prefix + "damaged/")
    ]
    return found


async def repair(held: Session, location: Location) -> None:
    """Do what is safe, under the lock. That the session was opened has put the journal in order and freed a dead one's lock."""
    entries = list(_mending(held.ledger.freeze()))
    if entries:
        await held.append(*entries)
    for key, _ in damaged_history(location):
        blob = location.store.get(key)
        if blob is not None:
            name = f"{location.prefix}damaged/{key.rpartition('/')[2]}-{int(time.time())}"
            location.store.put_if(name, blob.data, None)
            location.store.delete(key)


def _lock(location: Location) -> Iterator[Finding]:
    lease = location.lock().seen()
    if lease is None:
        return
    if location.holder() is None:
        yield Finding(
            code="lock.orphaned",
            message=f"the lock of {lease} was left behind: its holder is dead",
            remedy="nothing needs to be done: the next command that writes takes it over; --repair frees it now",
            safe=True,
            note=True,
        )
    else:
        how = "" if lease.here else f"; if it is dead, the next command takes it over within {lease.length:.0f} s"
        yield Finding(code="lock.held", message=f"{lease} is at work on this state{how}", note=True)


def _journal(reading: Reading) -> Iterator[Finding]:
    for key in reading.torn:
        yield Finding(
            code="journal.torn",
            message=f"{key} was torn by a crash; nobody was told that it was durable",
            remedy="the next command that writes sets it aside, and so does --repair",
            safe=True,
        )
    for key in reading.misplaced:
        yield Finding(
            code="journal.misplaced",
            message=f"{key} holds another segment than its name says; it was read in its right place",
            remedy="find out what copies files about in the state; --repair puts the journal in order",
            safe=True,
        )
    for key in reading.stale:
        yield Finding(
            code="journal.stale",
            message=f"{key} is folded into the snapshot already: a compaction was cut off",
            remedy="it does no harm; the next command that writes deletes it, and so does --repair",
            safe=True,
            note=True,
        )
    for key in reading.strays:
        yield Finding(code="journal.stray", message=f"{key} is nothing of mlinfra's", remedy="delete it")


def _intents(reading: Reading, *, busy: bool) -> Iterator[Finding]:
    for op, intent in reading.ledger.intents.items():
        yield Finding(
            code="state.open_intent",
            message=f"{intent.address}: a {intent.operation} ({intent.resource.type}, token {op}) never reported back",
            remedy="it may still be under way"
            if busy
            else "the next plan and apply look up what became of it; if they cannot: "
            f"look for it yourself, then mlinfra state rm {intent.address}",
            note=busy,
        )


def _invariants(state: State) -> Iterator[Finding]:
    mended = {s for s in state.problems()} - set(_mended(state).problems())
    for sentence in state.problems():
        yield Finding(
            code="state.broken",
            message=sentence,
            remedy="--repair mends the record"
            if sentence in mended
            else "mend it in what `mlinfra state pull` prints, and push that; or mlinfra state rm and import",
            safe=sentence in mended,
        )


def _blobs(location: Location) -> Iterator[Finding]:
    """What can be said of each blob when the whole cannot be read."""
    blob = location.store.get(location.prefix + SNAPSHOT)
    position = -1
    if blob is not None:
        try:
            position = decode_snapshot(blob.data).position
        except StateError:
            return  # said already
    for key in location.store.list(location.prefix + JOURNAL):
        number, segment = segment_number(key), location.store.get(key)
        if number is None or number <= position or segment is None:
            continue
        seen = decode_segment(segment.data)
        if isinstance(seen, Damage):
            message = f"{key} is {seen.value} ({len(segment.data)} bytes)"
            yield Finding(
                code=f"journal.{seen.value}", message=message, remedy="restore it from a backup, or the store's versions"
            )
        elif seen.number != number:
            message = f"{key} holds the segment {seen.number}"
            yield Finding(code="journal.misplaced", message=message, remedy="restore its own content from a backup")


def _mended(state: State) -> State:
    resources: dict[tuple[str, str], ResourceState] = {}
    addresses = {address for address, _ in state.resources}
    for key, r in state.resources.items():
        kept = r if r.deposed else replace(r, dependencies=tuple([d for d in r.dependencies if d in addresses]))
        resources[r.key if r.key not in state.resources else key] = kept
    return replace(state, resources=resources)


def _mending(state: State) -> Iterator[Entry]:
    """The entries that make ``state`` what :func:`_mended` says."""
    mended = _mended(state).resources
    for address, deposed in state.resources.keys() - mended.keys():
        yield Drop(address=address, deposed=deposed)
    for key, r in mended.items():
        if state.resources.get(key) != r:
            yield Record(resource=replace(r, version=r.version + 1))
