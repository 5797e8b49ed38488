"""Values while an apply runs: what was recorded, what refresh saw, what has been made since. Secrets stay in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlinfra.model.plan import Plan
from mlinfra.model.values import UNKNOWN, Map, Ref, Secret, SecretDigest, SecretRef, Value, holds, leaves, lookup
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
        self._ids: dict[str, str] = {}
        self.needs_reading: set[str] = set()
        self.unreadable: set[str] = set()

    def set(self, address: str, id: str, attributes: Map) -> None:
        """Note what stands at ``address``, which is or will be recorded so."""
        self._ids[address], self._values[address] = id, attributes
        self.unreadable.discard(address)

    def is_recorded(self, address: str) -> bool:
        """Whether the state knows the current object there, or will before anything that is recorded from now on."""
        return address in self._values or (address, "") in self._ledger.resources

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
            return self._id(ref.address) if ref.path == ("id",) else None
        if not _has_digest(found):
            return found
        found = self._kept(ref, found)
        if _has_digest(found):
            if ref.address not in self.unreadable:
                self.needs_reading.add(ref.address)
            return UNKNOWN
        return found

    def _id(self, address: str) -> str | None:
        if address in self._ids:
            return self._ids[address]
        current = self._ledger.resources.get((address, "")) or self._plan.prior.get((address, ""))
        return current.id if current is not None else None

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
    return holds(value, SecretDigest) and any(isinstance(leaf, SecretDigest) for _, leaf in leaves(value))


Resolver = Callable[[Value], Value]
