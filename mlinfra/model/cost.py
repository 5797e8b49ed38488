"""What a resource costs while it stands, and what a whole plan makes of the bill. US dollars, a month of 730 hours."""

from __future__ import annotations

from collections.abc import Iterable

from mlinfra.model.dataclass import dataclass

HOURS = 730
"""Hours in a month, as every cloud's own calculator counts them (8,760 / 12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """``monthly``   US dollars for a month in which it stands as asked for; None: the price is not known
    ``sentence``  how the figure comes about, or what it depends on: ``2 × g5.xlarge at 1.006 USD/h``
    ``source``    who says so (``AWS on-demand, us-east-1``), ``as_of`` when (``2025-03``)
    """

    monthly: float | None
    sentence: str = ""
    source: str = ""
    as_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTotal:
    """A month before and after. ``unknown`` and ``unknown_before`` are addresses whose price is not in the sum because nobody
    knows it; ``as_of`` is the date of the oldest figure that is in it."""

    before: float
    after: float
    unknown: tuple[str, ...] = ()
    unknown_before: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    as_of: str = ""

    @property
    def delta(self) -> float:
        return self.after - self.before

    @property
    def delta_is_known(self) -> bool:
        """Whether what is unknown stays as it is, so that the difference holds all the same."""
        return set(self.unknown) == set(self.unknown_before)


def total(pairs: Iterable[tuple[str, Cost | None, Cost | None]]) -> CostTotal | None:
    """The sum over (address, before, after); None when nothing among them has a price, known or unknown."""
    before = after = 0.0
    unknown: dict[str, None] = {}
    unknown_before: dict[str, None] = {}
    sources: dict[str, None] = {}
    dates: set[str] = set()
    seen = False
    for address, was, becomes in pairs:
        for cost, missing in ((was, unknown_before), (becomes, unknown)):
            if cost is None:
                continue
            seen = True
            if cost.monthly is None:
                missing[address] = None
                continue
            sources.update({cost.source: None} if cost.source else {})
            dates.update({cost.as_of} if cost.as_of else ())
        before += was.monthly or 0.0 if was is not None else 0.0
        after += becomes.monthly or 0.0 if becomes is not None else 0.0
    if not seen:
        return None
    return CostTotal(
        before=before, after=after, unknown=tuple(unknown), unknown_before=tuple(unknown_before),
        sources=tuple(sources), as_of=min(dates, default=""),
    )  # fmt: skip
