"""Which variant answers a request. Pure but for the counters; used from one thread, the event loop's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


class WeightedTurns:
    """Smooth weighted round-robin, as in nginx: in every run of ``sum(weights)`` turns each name comes exactly its weight's
    number of times, spread evenly. Names of weight 0 never come.

    Source: nginx, ``ngx_http_upstream_round_robin.c``."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = {name: weight for name, weight in weights.items() if weight > 0}
        self._total = sum(self._weights.values())
        self._credit = dict.fromkeys(self._weights, 0)

    def next(self) -> str:
        for name, weight in self._weights.items():
            self._credit[name] += weight
        chosen = max(self._credit, key=self._credit.__getitem__)
        self._credit[chosen] -= self._total
        return chosen


class StickyChoice:
    """The same key always comes to the same name; over many keys, the shares follow the weights. When weights move, only the
    keys at the moved borders change their name."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = sorted((name, weight) for name, weight in weights.items() if weight > 0)
        self._total = sum(weight for _, weight in self._weights)

    def of(self, key: str) -> str:
        point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") * self._total >> 64
        for name, weight in self._weights:
            if point < weight:
                return name
            point -= weight
        raise AssertionError


class Sample:
    """True for exactly ``percent`` of every hundred turns, spread evenly."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._credit = 0

    def next(self) -> bool:
        self._credit += self._percent
        if self._credit >= 100:
            self._credit -= 100
            return True
        return False
