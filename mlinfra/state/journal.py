"""Reading the state: the snapshot, and every segment after it, whatever a crash or a restored backup did to them.

What can be put right without a guess is put right: a torn end that nobody was told was durable, copies, segments that lie under
each other's names. Everything else is refused (StateError), and nothing is ever skipped: the numbers must run without a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import partial

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.state import State
from mlinfra.state.entries import Begin, Ledger
from mlinfra.state.segments import (
    Damage,
    Fence,
    Segment,
    Snapshot,
    decode_segment,
    decode_snapshot,
    segment_key,
    segment_number,
)
from mlinfra.state.store import Blob, Store

SNAPSHOT = "state.json"
JOURNAL = "journal/"
REQUEST = 8192
"""Bytes that one more segment is worth to whoever has to read it: what the weight of a journal is counted in."""

_AT_ONCE = 16


@dataclass(slots=True, kw_only=True)
class Reading:
    """``position``  the highest number that is taken, by whatever
    ``version``   the snapshot's, None when there is none
    ``epoch``     the highest that wrote anything
    ``fences``    first segments of the holders so far; they must stay for a while
    ``stale``     keys that the snapshot contains already, and no fences
    ``later``     keys that it does not contain
    ``torn``      keys of segments that were never acknowledged: a crash tore them
    ``strays``    keys below the journal that no segment has
    ``irregular`` whether the journal has to be put in order before it grows
    ``weight``    what it costs to read the segments beside the snapshot, in bytes
    """

    ledger: Ledger
    position: int = 0
    version: str | None = None
    epoch: int = 0
    fences: tuple[Fence, ...] = ()
    stale: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    weight: int = 0
    snapshot_size: int = 0

    @property
    def irregular(self) -> bool:
        return bool(self.torn or self.misplaced)


def read_journal(store: Store, prefix: str) -> Reading:
    """The recorded world; needs no lock. StateError when it cannot be trusted."""
    while True:
        # The list comes first: a segment that a compaction takes away meanwhile is then in the snapshot read after it.
        keys = store.list(prefix + JOURNAL)
        blob = store.get(prefix + SNAPSHOT)
        snapshot = decode_snapshot(blob.data) if blob is not None else Snapshot(State(), {}, 0)
        numbers = {key: number for key in keys if (number := segment_number(key)) is not None}
        later = fetch(store, [key for key, number in numbers.items() if number > snapshot.position])
        if later is None:
            continue
        everything = partial(fetch, store, numbers)
        reading = _assemble(prefix, snapshot, blob, numbers, later, everything)
        if reading is None:
            continue
        reading.strays = [key for key in keys if key not in numbers]
        return reading


def fetch(store: Store, keys: Iterable[str]) -> dict[str, Blob] | None:
    """The blobs, several at a time; None when one went away meanwhile: start over."""
    wanted = list(keys)
    if len(wanted) < 3:
        blobs = [store.get(key) for key in wanted]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="mlinfra-read") as pool:
            blobs = list(pool.map(store.get, wanted))
    found = {key: blob for key, blob in zip(wanted, blobs, strict=True) if blob is not None}
    return found if len(found) == len(wanted) else None


@dataclass(slots=True)
class _Sorted:
    """Segments by the number that they carry themselves."""

    found: dict[int, Segment] = field(default_factory=dict)
    bad: dict[str, Damage] = field(default_factory=dict)
    misplaced: list[str] = field(default_factory=list)


def _sort(blobs: Mapping[str, Blob], numbers: Mapping[str, int]) -> _Sorted:
    sorted_ = _Sorted()
    for key, blob in blobs.items():
        segment = decode_segment(blob.data)
        if isinstance(segment, Damage):
            sorted_.bad[key] = segment
            continue
        twin = sorted_.found.setdefault(segment.number, segment)
        if twin.checksum != segment.checksum:
            raise _untrusted(f"two different journal segments carry the number {segment.number}", "keep the one from your backup")
        if segment.number != numbers[key]:
            sorted_.misplaced.append(key)
    return sorted_


def _assemble(
    prefix: str,
    snapshot: Snapshot,
    blob: Blob | None,
    numbers: Mapping[str, int],
    blobs: Mapping[str, Blob],
    fetch_all: Callable[[], Mapping[str, Blob] | None],
) -> Reading | None:
    start = snapshot.position
    sorted_ = _sort(blobs, numbers)
    after = sorted(n for n in sorted_.found if n > start)
    if after and len(after) != after[-1] - start:
        everything = fetch_all()  # perhaps it lies under the name of one that is folded in already
        if everything is None:
            return None
        sorted_ = _sort(everything, numbers)
        after = sorted(n for n in sorted_.found if n > start)
    last = after[-1] if after else start
    missing = [n for n in range(start + 1, last + 1) if n not in sorted_.found]
    by_number = {numbers[key]: damage for key, damage in sorted_.bad.items()}
    altered = [n for n, damage in by_number.items() if damage is Damage.ALTERED and n not in sorted_.found and n > start]
    if missing or altered:
        first = min([*missing, *altered])
        what = "damaged" if first in by_number else "missing"
        behind = ", and later ones exist" if first < last else ""
        raise _untrusted(
            f"the journal segment {prefix}{segment_key(first)} is {what}{behind}",
            "restore it from your backup, or from the store's",
        )
    ledger = Ledger(snapshot.state, snapshot.intents)
    fences = {f.number: f for f in snapshot.fences}
    epoch = snapshot.epoch
    for number in after:
        segment = sorted_.found[number]
        epoch = max(epoch, segment.epoch)
        for entry in segment.entries:
            if isinstance(entry, Begin):
                fences[number] = Fence(number, entry.time)
            ledger.apply(entry)
    return Reading(
        ledger=ledger,
        position=max([start, *numbers.values(), *after]),
        version=blob.version if blob is not None else None,
        epoch=epoch,
        fences=tuple(sorted(fences.values(), key=lambda f: f.number)),
        stale=[key for key, number in numbers.items() if number <= start and number not in fences],
        later=[key for key, number in numbers.items() if number > start],
        torn=[key for key in sorted_.bad if numbers[key] > start],
        misplaced=sorted_.misplaced,
        weight=sum(len(b.data) + REQUEST for b in blobs.values()),
        snapshot_size=len(blob.data) if blob is not None else 0,
    )


def _untrusted(message: str, hint: str) -> StateError:
    full = f"{hint}; `mlinfra state doctor` shows what is affected"
    return StateError(Diagnostic(code="state.damaged", message=message, hint=full))
