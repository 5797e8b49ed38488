"""The journal's entries, and what each does to the recorded world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from mlinfra.model.address import component_of
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import EMPTY, Map
from mlinfra.state.codec import decode, decode_resource, encode, encode_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """A holder of the lock begins: the first entry of its first segment. ``time`` is Unix seconds."""

    operation: str
    epoch: int
    owner: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An operation is about to be sent. ``op`` (32 hex digits) is also the provider's token.

    ``attributes`` are the sealed inputs; ``resource`` a half-filled record of what will stand when it succeeds (no id)."""

    op: str
    operation: str
    address: str
    resource: ResourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The object stands as recorded; closes the intent ``op`` when there is one."""

    resource: ResourceState
    op: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The object is gone, or forgotten; closes the intent ``op``."""

    address: str
    deposed: str = ""
    op: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depose:
    """The current object steps aside under ``key`` and waits for deletion."""

    address: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The intent ``op`` came to nothing."""

    op: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """``moved`` and ``state mv``: objects, their deposed twins and every dependency on them change address (old → new)."""

    moves: Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The spec's outputs, sealed."""

    values: Map = EMPTY
    sensitive: tuple[str, ...] = ()


Entry: TypeAlias = Begin | Intent | Record | Drop | Depose | Close | Rename | Outputs

_BY_NAME: dict[str, type[Any]] = {c.__name__.lower(): c for c in (Begin, Intent, Record, Drop, Depose, Close, Rename, Outputs)}


def encode_entry(entry: Entry) -> dict[str, Any]:
    out: dict[str, Any] = {"entry": type(entry).__name__.lower()}
    for name in entry.__slots__:
        value = getattr(entry, name)
        out[name] = value if type(value) is str else encode_resource(value) if type(value) is ResourceState else encode(value)
    return out


def decode_entry(tree: Mapping[str, Any]) -> Entry:
    """ValueError when the entry is of a kind that this version does not know."""
    name = tree["entry"]
    if name not in _BY_NAME:
        raise ValueError(f"the journal holds an entry of the unknown kind {name!r}")
    values = {k: decode_resource(v) if k == "resource" else decode(v) for k, v in tree.items() if k != "entry"}
    entry: Entry = _BY_NAME[name](**values)
    return entry


class Ledger:
    """The recorded world while entries are applied to it, one by one, each in constant time."""

    def __init__(self, state: State, intents: Mapping[str, Intent] | None = None) -> None:
        self.lineage = state.lineage
        self.serial = state.serial
        self.resources = dict(state.resources)
        self.outputs = state.outputs
        self.sensitive_outputs = state.sensitive_outputs
        self.intents: dict[str, Intent] = dict(intents or {})

    def apply(self, entry: Entry) -> None:
        """Apply one entry. Entries may come twice: the second time changes nothing but the serial."""
        self.serial += 1
        match entry:
            case Record(resource=r, op=op):
                self.resources[r.key] = r
                self.intents.pop(op, None)
            case Intent(op=op):
                self.intents[op] = entry
            case Drop(address=address, deposed=deposed, op=op):
                self.resources.pop((address, deposed), None)
                self.intents.pop(op, None)
            case Close(op=op):
                self.intents.pop(op, None)
            case Depose(address=address, key=key):
                current = self.resources.pop((address, ""), None)
                if current is not None:
                    self.resources[(address, key)] = replace(current, deposed=key, version=current.version + 1)
            case Rename(moves=moves):
                self._rename(moves)
            case Outputs(values=values, sensitive=sensitive):
                self.outputs, self.sensitive_outputs = values, sensitive
            case Begin():
                pass

    def _rename(self, moves: Map) -> None:
        renamed: dict[tuple[str, str], ResourceState] = {}
        for r in self.resources.values():
            r = _renamed(r, moves)
            renamed[r.key] = r
        self.resources = renamed
        self.intents = {
            op: replace(i, address=moves.get(i.address, i.address), resource=_renamed(i.resource, moves))
            for op, i in self.intents.items()
        }

    def freeze(self) -> State:
        """The state as it stands now. Dependencies on what is recorded no more (a failed replacement, ``state rm``) are left out."""
        addresses = {address for address, _ in self.resources}
        resources = {
            key: r
            if addresses.issuperset(r.dependencies)
            else replace(r, dependencies=tuple(d for d in r.dependencies if d in addresses))
            for key, r in self.resources.items()
        }
        return State(
            lineage=self.lineage,
            serial=self.serial,
            resources=resources,
            outputs=self.outputs,
            sensitive_outputs=self.sensitive_outputs,
        )


def _renamed(r: ResourceState, moves: Map) -> ResourceState:
    """``r`` at its new address, if it has one; its name in the world stays that of the address where it was made."""
    dependencies = tuple([moves.get(d, d) for d in r.dependencies])
    address = moves.get(r.address)
    if address is None:
        return r if dependencies == r.dependencies else replace(r, dependencies=dependencies)
    component = component_of(address)
    made_as = r.named or r.component or component_of(r.address)
    named = "" if made_as == component else made_as
    return replace(r, address=address, component=component, named=named, dependencies=dependencies, version=r.version + 1)
