"""The recorded world: resources, outputs, and the invariants that always hold between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mlinfra.model.address import parse_address
from mlinfra.model.dataclass import dataclass
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import EMPTY, Map, is_known


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``resources`` is keyed by (address, deposed key). ``lineage`` names this state's family, ``serial`` counts writes."""

    lineage: str = ""
    serial: int = 0
    resources: Mapping[tuple[str, str], ResourceState] = field(default_factory=dict)
    outputs: Map = EMPTY
    sensitive_outputs: tuple[str, ...] = ()

    def get(self, address: str) -> ResourceState | None:
        """The current object at ``address``."""
        return self.resources.get((address, ""))

    def current(self) -> dict[str, ResourceState]:
        """The current (not deposed) objects by address."""
        return {address: r for (address, deposed), r in self.resources.items() if not deposed}

    def problems(self) -> list[str]:
        """Every broken invariant, a sentence each; empty when the state is sound."""
        found: list[str] = []
        addresses = {address for address, _ in self.resources}
        owners: dict[tuple[str, str, str], tuple[str, str]] = {}
        for key, r in self.resources.items():
            if key != r.key:
                found.append(f"{r.address} is filed under {key[0]} {key[1]}".rstrip())
            if parse_address(r.address) is None:
                found.append(f"{r.address!r} is not an address")
            if not r.id:
                found.append(f"{r.address} has no id")
            if not is_known(r.attributes):
                found.append(f"{r.address} records a value that is not known")
            if not r.existing:
                twin = owners.setdefault((r.provider, r.type, r.id), r.key)
                if twin != r.key:
                    found.append(f"{r.address} and {twin[0]} record the same {r.type} {r.id}")
            found.extend(
                f"{r.address} depends on {d}, which is not recorded"
                for d in r.dependencies
                if not r.deposed and d not in addresses
            )
        return found
