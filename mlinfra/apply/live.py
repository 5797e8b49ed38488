"""Values while an apply runs: what was recorded, what refresh saw, what has been made since. Secrets stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlinfra.model.plan import Plan
from mlinfra.model.values import UNKNOWN, Map, Ref, Secret, SecretDigest, SecretRef, Value, leaves, lookup
from mlinfra.resolve.cel import substitute
from mlinfra.state.entries import Ledger
from mlinfra.state.sealing import Sealer


class Live:
    """Answers references, and ``secret("…")`` with the ``secrets`` that were fetched. ``needs_reading`` collects the addresses
    whose secrets are neither in memory nor kept, so that they must be read again; ``unreadable`` those where that was in vain."""

    def __init__(self, plan: Plan, ledger: Ledger, sealer: Sealer, secrets: Mapping[SecretRef, Secret] | None = None) -> None:
        self._plan = plan
        self._ledger = ledger
        self._sealer = sealer
        self._secrets = secrets or {}
        self._values: dict[str, Map] = {}
        self.needs_reading: set[str] = set()
        self.unreadable: set[str] = set()

    def set(self, address: str, attributes: Map) -> None:
        self._values[address] = attributes
        self.unreadable.discard(address)

    def get(self, address: str) -> Map | None:
        """The attributes of the current object, the newest that are known."""
        if address in self._values:
            return self._values[address]
        seen = self._plan.prior.get((address, "")) or self._ledger.resources.get((address, ""))
        return seen.attributes if seen else None

    def resolve(self, tree: Value) -> Value:
        """``tree`` with every reference answered; UNKNOWN where there is nothing to refer to."""
        return substitute(tree, self._answer, self._fetched)

    def _fetched(self, ref: SecretRef) -> Value:
        return self._secrets.get(ref, ref)

    def _answer(self, ref: Ref) -> Value:
        attributes = self.get(ref.address)
        if attributes is None:
            return UNKNOWN
        try:
            found = lookup(attributes, ref.path)
        except KeyError:
            current = self._ledger.resources.get((ref.address, "")) or self._plan.prior.get((ref.address, ""))
            return current.id if current is not None and ref.path == ("id",) else None
        if not _has_digest(found):
            return found
        found = self._kept(ref, found)
        if _has_digest(found):
            if ref.address not in self.unreadable:
                self.needs_reading.add(ref.address)
            return UNKNOWN
        return found

    def _kept(self, ref: Ref, found: Value) -> Value:
        """What an encrypted state keeps of it. A saved plan has digests only: then it is the record that knows."""
        opened = self._sealer.open(found)
        recorded = self._ledger.resources.get((ref.address, ""))
        if recorded is None or not _has_digest(opened):
            return opened
        try:
            kept = lookup(recorded.attributes, ref.path)
        except KeyError:
            return opened
        return self._sealer.open(kept) if kept == found else opened


def _has_digest(value: Value) -> bool:
    return any(isinstance(leaf, SecretDigest) for _, leaf in leaves(value))


Resolver = Callable[[Value], Value]
