"""From what one node must have to the cheapest offer that has it, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlinfra.model.cost import HOURS, Cost
from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import Path
from mlinfra.provider.hardware.offers import GIB, Offer

GB = 10**9
_SHOWN = 4
_ALIKE = {"a10040gb": "a100", "h10080gb": "h100", "v10016gb": "v100", "trainium1": "trainium", "inferentia1": "inferentia"}
"""Other spellings of the same hardware, in the form of :func:`_plain`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one node must have. ``accelerator`` names a model, ``accelerator_memory`` (bytes, from and up to) any of that size; ``count`` is
    exact: code that is written for four ranks does not run on eight. ``cpus`` and ``memory`` (bytes) are at least."""

    accelerator: str = ""
    count: int = 0
    accelerator_memory: tuple[int, int | None] | None = None
    cpus: float = 0.0
    memory: int = 0
    spot: bool = False
    use: str = "vm"
    type: str = ""

    def __str__(self) -> str:
        parts = [f"{self.accelerator}:{self.count}"] if self.accelerator else []
        if self.accelerator_memory is not None:
            least, most = self.accelerator_memory
            parts.append(
                f"{self.count} GPU of {least / GB:g}{'' if most == least else '..' + (f'{most / GB:g}' if most else '')} GB"
            )
        parts += [f"{self.cpus:g} CPUs"] if self.cpus else []
        parts += [f"{self.memory / GIB:g} GiB"] if self.memory else []
        return " with ".join([parts[0], " and ".join(parts[1:])] if len(parts) > 1 else parts) or "any machine"


class NothingFits(Exception):
    """No offer fits. ``message`` says what is missing, ``hint`` the nearest, ``path`` which part of the resources it is about."""

    def __init__(self, message: str, hint: str, path: Path = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.path = message, hint, path


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An offer in one region. ``elsewhere`` is an offer of the same type whose price is known, where this region's is not."""

    offer: Offer
    region: str
    spot: bool = False
    elsewhere: Offer | None = None

    def cost(self, count: int = 1, *, about: str = "") -> Cost:
        """What ``count`` of them cost a month. ``about`` is added to the sentence."""
        o = self.offer
        what = f"{count} × {o.type} ({o.hardware})"
        rate = o.spot_usd if self.spot else o.usd
        if rate is not None:
            kind = " spot, which moves" if self.spot else ""
            told = f"{what} at {rate:g} USD an hour{kind}"
            return Cost(
                monthly=rate * count * HOURS, sentence=_and(told, about), source=f"{o.source}, {self.region}", as_of=o.date
            )
        if self.spot and o.usd is not None:
            told = f"{what}: the spot price is not known, on demand it is {o.usd:g} USD an hour"
            return Cost(monthly=None, sentence=_and(told, about), source=f"{o.source}, {self.region}", as_of=o.date)
        if self.elsewhere is not None:
            where = min(self.elsewhere.regions, default="elsewhere")
            told = f"{what}: the price in {self.region} is not known, in {where} it is {self.elsewhere.usd:g} USD an hour"
            return Cost(monthly=None, sentence=_and(told, about), source=self.elsewhere.source, as_of=self.elsewhere.date)
        return Cost(monthly=None, sentence=_and(what, about))


def _and(told: str, about: str) -> str:
    return f"{told}; {about}" if about else told


def choose(offers: Sequence[Offer], needs: Needs, region: str, *, target: str) -> Choice:
    """The cheapest offer of ``region`` that fits. Where a region's price is not known, the cheapest known price of that type decides; what has
    no known price at all comes last, the smaller first. NothingFits with the near misses."""
    usable = [o for o in offers if needs.use in o.uses]
    fitting = [o for o in usable if (o.type == needs.type if needs.type else _fits(o, needs))]
    here = [o for o in fitting if o.stands_in(region)]
    if not here:
        raise _why(usable, fitting, needs, region, target)
    known = _cheapest_known(fitting)
    best = min(here, key=lambda o: _order(o, known.get(o.type), needs.spot))
    return Choice(offer=best, region=region, spot=needs.spot, elsewhere=known.get(best.type) if best.usd is None else None)


def find(offers: Iterable[Offer], type: str, region: str, *, spot: bool = False) -> Choice | None:
    """The offer of a type in a region, to price it; None when the catalogue has none of that name there."""
    same = [o for o in offers if o.type == type]
    here = next((o for o in same if o.stands_in(region)), None)
    if here is None:
        return None
    return Choice(offer=here, region=region, spot=spot, elsewhere=_cheapest_known(same).get(type) if here.usd is None else None)


def _plain(name: str) -> str:
    plain = "".join(c for c in name.lower() if c.isalnum())
    return _ALIKE.get(plain, plain)


def _fits(o: Offer, needs: Needs) -> bool:
    return _has_accelerator(o, needs) and o.count == needs.count and o.vcpus >= needs.cpus and o.memory >= needs.memory


def _has_accelerator(o: Offer, needs: Needs) -> bool:
    if needs.accelerator:
        return _plain(o.accelerator) == _plain(needs.accelerator)
    if needs.accelerator_memory is not None:
        least, most = needs.accelerator_memory
        # 24 GB on the label may be 24·10⁹ bytes or 24·2³⁰: whoever asks for either gets it
        return o.is_gpu and o.accelerator_memory * GIB >= least and (most is None or o.accelerator_memory * GB <= most)
    return not o.count


def _cheapest_known(offers: Iterable[Offer]) -> dict[str, Offer]:
    found: dict[str, Offer] = {}
    for o in offers:
        if o.usd is not None and (o.type not in found or o.usd < (found[o.type].usd or 0)):
            found[o.type] = o
    return found


def _order(o: Offer, known: Offer | None, spot: bool) -> tuple[bool, float, float, int, str]:
    price = (o.spot_usd if spot else None) or o.usd or (known.usd if known is not None else None)
    return price is None, price or 0.0, o.vcpus, o.memory, o.type


def _why(usable: Sequence[Offer], fitting: Sequence[Offer], needs: Needs, region: str, target: str) -> NothingFits:
    """The first reason that keeps every offer out, and what comes nearest."""
    from difflib import get_close_matches

    if fitting:  # it exists, but not here
        types = ", ".join(dict.fromkeys(o.type for o in fitting))
        regions = sorted({r for o in fitting for r in o.regions})
        path: Path = (
            ("instance_type",) if needs.type else ("accelerators",) if needs.accelerator else ("gpu",) if needs.count else ()
        )
        what = needs.type or f"{needs} ({types})"
        return NothingFits(f"{target} does not offer {what} in {region}", f"it is offered in {', '.join(regions)}", path)
    if needs.type:
        near = get_close_matches(needs.type, sorted({o.type for o in usable}), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see: mlinfra explain training_cluster"
        return NothingFits(f"{target} has no instance type {needs.type!r} for {needs.use}", hint, ("instance_type",))
    having = [o for o in usable if _has_accelerator(o, needs)]
    if not having and needs.accelerator:
        names = sorted({o.accelerator for o in usable if o.count}, key=str.lower)
        near = get_close_matches(needs.accelerator.upper(), [n.upper() for n in names], n=1)
        meant = next((n for n in names if near and n.upper() == near[0]), "")
        hint = (f"did you mean {meant}? " if meant else "") + f"{target} has {', '.join(names) or 'none'}"
        return NothingFits(f"{target} has no accelerator {needs.accelerator!r}", hint, ("accelerators",))
    if not having:
        sizes = sorted({(o.accelerator_memory, o.accelerator) for o in usable if o.is_gpu})
        hint = f"{target} has " + ", ".join(f"{name} ({size:g} GB)" for size, name in sizes)
        return NothingFits(f"{target} has no GPU of that memory", hint, ("gpu",))
    of_count = [o for o in having if o.count == needs.count]
    if not of_count:
        path = ("accelerators",) if needs.accelerator else ("gpu",)
        return NothingFits(f"{target} has no machine with {needs}", f"near misses: {_near(having, needs, region)}", path)
    path = ("cpus",) if all(o.vcpus < needs.cpus for o in of_count) else ("memory",)
    return NothingFits(f"{target} has no machine with {needs}", f"near misses: {_near(of_count, needs, region)}", path)


def _near(offers: Iterable[Offer], needs: Needs, region: str) -> str:
    """The offers nearest to what is asked, those of this region first."""

    def distance(o: Offer) -> tuple[bool, int, float, float]:
        return (
            not o.stands_in(region),
            abs(o.count - needs.count),
            max(0.0, needs.cpus - o.vcpus),
            max(0.0, needs.memory - o.memory),
        )

    listed: dict[str, Offer] = {}
    for o in sorted(offers, key=distance):
        listed.setdefault(o.type, o)
    return "; ".join(f"{o.type} ({o.hardware})" for o in list(listed.values())[:_SHOWN])
