"""What a plan carries for those who only read it: who needs whom, and nothing that must not be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlinfra.model.change import Change
from mlinfra.model.dataclass import replace
from mlinfra.model.resource import ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import is_known
from mlinfra.state.sealing import sensitive_names, veil


def veiled(changes: Sequence[Change], schema_of: Callable[[str], Schema]) -> list[Change]:
    """The changes with what their schemas call sensitive out of sight, also where the spec gives it in plain text."""
    sensitive = {type: sensitive_names(schema_of(type).attributes) for type in {c.type for c in changes}}
    return [_veiled(c, schema_of(c.type), sensitive[c.type]) if sensitive[c.type] else c for c in changes]


def _veiled(change: Change, schema: Schema, sensitive: Sequence[str]) -> Change:
    if change.after is None or not any(is_known(change.after.get(name)) for name in sensitive):
        return change
    return replace(change, after=veil(change.after, schema))


def all_needs(
    edges: Mapping[str, Sequence[str]], priors: Mapping[tuple[str, str], ResourceState], mode: str
) -> dict[str, tuple[str, ...]]:
    """What every resource needs, wanted or only recorded; those that need nothing are left out."""
    found = {address: tuple(needs) for address, needs in edges.items() if needs} if mode == "normal" else {}
    for (address, deposed), r in priors.items():
        if r.dependencies and not deposed and (mode != "normal" or address not in edges):
            found[address] = r.dependencies
    return found
