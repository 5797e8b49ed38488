"""Values while an apply runs: what was recorded, what refresh saw, what has been made since. Secrets stay in memory."""

from __future__ import annotations

from collections.abc import Callable

from mlinfra.model.plan import Plan
from mlinfra.model.values import UNKNOWN, Map, Ref, SecretDigest, Value, leaves, lookup
from mlinfra.resolve.cel import substitute
from mlinfra.state.entries import Ledger


class Live:
    """Answers references. ``needs_reading`` collects the addresses whose secrets are not in memory."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._plan = plan
        self._ledger = ledger
        self._values: dict[str, Map] = {}
        self.needs_reading: set[str] = set()

    def set(self, address: str, attributes: Map) -> None:
        self._values[address] = attributes

    def get(self, address: str) -> Map | None:
        """The attributes of the current object, the newest that are known."""
        if address in self._values:
            return self._values[address]
        seen = self._plan.prior.get((address, "")) or self._ledger.resources.get((address, ""))
        return seen.attributes if seen else None

    def resolve(self, tree: Value) -> Value:
        """``tree`` with every reference answered; UNKNOWN where there is nothing to refer to."""
        return substitute(tree, self._answer)

    def _answer(self, ref: Ref) -> Value:
        attributes = self.get(ref.address)
        if attributes is None:
            return UNKNOWN
        try:
            found = lookup(attributes, ref.path)
        except KeyError:
            current = self._ledger.resources.get((ref.address, "")) or self._plan.prior.get((ref.address, ""))
            return current.id if current is not None and ref.path == ("id",) else None
        if any(isinstance(leaf, SecretDigest) for _, leaf in leaves(found)):
            self.needs_reading.add(ref.address)
            return UNKNOWN
        return found


Resolver = Callable[[Value], Value]
