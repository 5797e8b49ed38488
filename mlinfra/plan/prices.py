"""What the resources of a plan cost, before and after, as their types tell it. Pure; types that price nothing cost nothing here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mlinfra.model.change import Action, Change
from mlinfra.model.cost import Cost
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import DEFERRED, EMPTY, Map, Value
from mlinfra.provider.contract import Prices
from mlinfra.provider.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    type: str
    provider: str
    attributes: Map


class World:
    """Everything that stands at one time, and what each of it costs. ``settings`` by provider instance."""

    def __init__(self, registry: Registry, settings: Mapping[str, Map], standing: Iterable[_Standing]) -> None:
        self._registry = registry
        self._settings = settings
        self._standing = standing
        self._by_type: dict[tuple[str, str], list[Map]] | None = None
        self._by_value: dict[tuple[str, str, str], dict[Value, Map]] = {}
        self._prices: dict[str, Prices | None] = {}

    def price(self, type: str, provider: str, attributes: Map) -> Cost | None:
        """What a month of a resource with these attributes costs in this world."""
        prices = self.prices(type)
        if prices is None:
            return None

        def find(type: str, attribute: str, value: Value) -> Map | None:
            return self._find(provider, type, attribute, value)

        return prices.price(attributes, self._settings.get(provider, EMPTY), find)

    def prices(self, type: str) -> Prices | None:
        """What tells the price of this type; None: it has none."""
        if type not in self._prices:
            found = self._registry.type(type)
            self._prices[type] = found if isinstance(found, Prices) else None
        return self._prices[type]

    def _find(self, provider: str, type: str, attribute: str, value: Value) -> Map | None:
        if isinstance(value, DEFERRED):
            return None
        key = (provider, type, attribute)
        if key not in self._by_value:
            if self._by_type is None:
                self._by_type = {}
                for one in self._standing:
                    self._by_type.setdefault((one.provider, one.type), []).append(one.attributes)
            of_type = self._by_type.get((provider, type), ())
            self._by_value[key] = {a[attribute]: a for a in of_type if isinstance(a.get(attribute), (str, int))}
        return self._by_value[key].get(value)


def wanted_world(
    registry: Registry, settings: Mapping[str, Map], resources: Mapping[str, Resource], values: Mapping[str, Map]
) -> World:
    """What stands after apply: ``values`` by address, as far as they are known."""
    standing = (_Standing(type=r.type, provider=r.provider, attributes=values[a]) for a, r in resources.items() if a in values)
    return World(registry, settings, standing)


def recorded_world(registry: Registry, settings: Mapping[str, Map], state: State) -> World:
    """What stands before apply."""
    standing = (_Standing(type=r.type, provider=r.provider, attributes=r.attributes) for r in state.resources.values())
    return World(registry, settings, standing)


def priced(changes: Sequence[Change], before: World, after: World) -> list[Change]:
    """The changes with what each costs before and after it. What is forgotten goes on costing; what is imported did already."""

    def cost(world: World, change: Change, attributes: Map | None) -> Cost | None:
        return None if attributes is None else world.price(change.type, change.provider, attributes)

    found: list[Change] = []
    for change in changes:
        if before.prices(change.type) is None:
            found.append(change)
            continue
        was = cost(before, change, change.before)
        becomes = was if change.action is Action.FORGET else cost(after, change, change.after)
        same = was is None and becomes is None
        found.append(change if same else replace(change, cost_before=was, cost_after=becomes))
    return found


def standing(recorded: Iterable[ResourceState], spoken_of: Collection[tuple[str, str]], world: World) -> dict[str, Cost]:
    """What the resources cost of which no change speaks, by address."""
    found = {}
    for r in recorded:
        if world.prices(r.type) is not None and r.key not in spoken_of and not r.existing:
            cost = world.price(r.type, r.provider, r.attributes)
            if cost is not None:
                found[r.address] = cost
    return found
