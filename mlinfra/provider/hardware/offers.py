"""The catalogue: ``catalog/*.csv`` in a provider's package, one offer a line.

Columns: ``provider``, ``type``, ``uses`` (words, what it can be had for: ``vm``, ``training``), ``vcpus``, ``memory`` (GiB), ``accelerator``,
``count``, ``accelerator_memory`` (GB of each, as sold), ``region`` (words; the price holds in each of them; nothing: everywhere),
``usd`` and ``spot_usd`` (an hour; nothing: not known), ``source`` and ``date`` (``2025-03``) of the price. A type has a line for each price.
"""

from __future__ import annotations

import csv
import functools
import importlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mlinfra.model.dataclass import dataclass

GIB = 2**30
COLUMNS = (
    "provider", "type", "uses", "vcpus", "memory", "accelerator", "count", "accelerator_memory", "region", "usd", "spot_usd",
    "source", "date",
)  # fmt: skip

COUNTS = (0, 1, 2, 4, 8, 16)
NO_GPUS = ("Inferentia", "Trainium", "TPU")
ODD_COUNTS = {"Inferentia2": (1, 6, 12)}
"""So many accelerators stand in one machine. Public catalogues have shown 12 GPUs in a box of 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One type of machine in some regions at one price. ``memory`` in bytes, ``accelerator_memory`` in GB of each; ``usd`` and ``spot_usd`` an
    hour, None: not known. No ``regions``: everywhere."""

    provider: str
    type: str
    uses: frozenset[str]
    vcpus: float
    memory: int
    accelerator: str = ""
    count: int = 0
    accelerator_memory: float = 0.0
    regions: frozenset[str] = frozenset()
    usd: float | None = None
    spot_usd: float | None = None
    source: str = ""
    date: str = ""

    def stands_in(self, region: str) -> bool:
        return not self.regions or region in self.regions

    @property
    def is_gpu(self) -> bool:
        """Whether its accelerator runs what is written for GPUs."""
        return self.count > 0 and not self.accelerator.startswith(NO_GPUS)

    @property
    def hardware(self) -> str:
        """``4 CPUs, 16 GiB, 1 × A10G of 24 GB``."""
        said = f"{self.vcpus:g} CPUs, {self.memory / GIB:g} GiB"
        return f"{said}, {self.count} × {self.accelerator} of {self.accelerator_memory:g} GB" if self.count else said


@functools.cache
def load(package: str) -> tuple[Offer, ...]:
    """Every offer of a provider's package (``mlinfra_aws``). ValueError when a line of its catalogue cannot be."""
    return tuple(
        offer for file in _catalogues(package) for offer in parse(file.read_text(encoding="utf-8").splitlines(), file.name)
    )


@functools.cache
def of_type(package: str, type: str) -> tuple[Offer, ...]:
    """Those of :func:`load` that are of one type of machine. To price a resource, the two thousand others are not read."""
    found: list[Offer] = []
    for file in _catalogues(package):
        with file.open(encoding="utf-8") as lines:
            same = (line for line in lines if line.split(",", 2)[1:2] == [type])
            found += parse(itertools.chain([next(lines)], same), file.name)
    return tuple(found)


def _catalogues(package: str) -> list[Path]:
    folder = Path(importlib.import_module(package).__path__[0], "catalog")
    return sorted(folder.glob("*.csv"))


def parse(lines: Iterable[str], name: str = "catalogue") -> Iterator[Offer]:
    """The offers in CSV lines, the head first. ValueError with ``name`` and line for what cannot be read or believed."""
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{name}: the columns must be {','.join(COLUMNS)}")
    for row in reader:
        try:
            offer = _offer(row)
        except ValueError as error:
            raise ValueError(f"{name}:{reader.line_num}: {error}") from None
        problem = next(problems(offer), None)
        if problem:
            raise ValueError(f"{name}:{reader.line_num}: {offer.type}: {problem}")
        yield offer


def problems(offer: Offer) -> Iterator[str]:
    """What is not to be believed of an offer."""
    if not offer.type or not offer.provider or not offer.uses:
        yield "provider, type and uses are needed"
    if offer.vcpus <= 0 or offer.memory <= 0:
        yield "a machine has CPUs and memory"
    if (offer.usd is not None and offer.usd <= 0) or (offer.spot_usd is not None and offer.spot_usd <= 0):
        yield "a price of 0 is no price: leave it empty when it is not known"
    if offer.usd is not None and offer.spot_usd is not None and offer.spot_usd > offer.usd:
        yield f"a spot price of {offer.spot_usd:g} above the {offer.usd:g} on demand"
    if (offer.usd is not None or offer.spot_usd is not None) and not (offer.source and offer.date):
        yield "a price needs its source and date"
    if bool(offer.accelerator) != (offer.count > 0):
        yield "an accelerator needs its count, and a count its accelerator"
    if offer.count not in ODD_COUNTS.get(offer.accelerator, COUNTS):
        yield f"{offer.count} accelerators in one machine"
    if offer.count and offer.accelerator_memory <= 0:
        yield "an accelerator has memory"


def _offer(row: Mapping[str, str]) -> Offer:
    return Offer(
        provider=row["provider"],
        type=row["type"],
        uses=frozenset(row["uses"].split()),
        vcpus=float(row["vcpus"]),
        memory=round(float(row["memory"]) * GIB),
        accelerator=row["accelerator"],
        count=int(row["count"] or 0),
        accelerator_memory=float(row["accelerator_memory"] or 0),
        regions=frozenset(row["region"].split()),
        usd=float(row["usd"]) if row["usd"] else None,
        spot_usd=float(row["spot_usd"]) if row["spot_usd"] else None,
        source=row["source"],
        date=row["date"],
    )
