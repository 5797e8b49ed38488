"""Write providers/mlinfra_azure/catalog/machines.csv anew; see the README there for what comes from where.

pip download --no-deps apache-libcloud && unzip apache_libcloud-*.whl libcloud/data/pricing.json
python scripts/make_azure_catalog.py libcloud/data/pricing.json
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlinfra.provider.hardware.offers import COLUMNS

CATALOG = Path(__file__).parent.parent / "providers" / "mlinfra_azure" / "catalog"
RETAIL = ("Azure's retail prices, as in Apache Libcloud's pricing.json", "2025-03")
LISTED = ("Azure's price list, as public catalogues give it", "2025-03")

# what a machine can be had for: `training` and `serving` are Azure ML's compute clusters and managed online endpoints
# https://learn.microsoft.com/azure/machine-learning/concept-compute-target#supported-vm-series-and-sizes
# https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list
EVERY = "vm training serving"
# (type, name in Libcloud's table, uses, vCPUs, GiB); https://learn.microsoft.com/azure/virtual-machines/sizes
HOSTS: list[tuple[str, str, str, int, float]] = [
    *((f"Standard_DS{n}_v2", f"ds{n}v2", EVERY, cpus, cpus * 3.5) for n, cpus in enumerate((1, 2, 4, 8, 16), 1)),
    *((f"Standard_D{n}as_v4", f"d{n}asv4", "vm serving", n, n * 4) for n in (2, 4, 8, 16, 32, 48, 64, 96)),
    *((f"Standard_D{n}s_v3", f"d{n}sv3", "vm training", n, n * 4) for n in (2, 4, 8, 16, 32, 48, 64)),
    *((f"Standard_D{n}ds_v4", f"d{n}dsv4", "vm training", n, n * 4) for n in (2, 4, 8, 16, 32, 48, 64)),
    *((f"Standard_E{n}s_v3", f"e{n}sv3", "vm serving", n, n * 8) for n in (2, 4, 8, 16, 32, 48)),
    *((f"Standard_F{n}s_v2", f"f{n}sv2", EVERY, n, n * 2) for n in (2, 4, 8, 16, 32, 48, 64, 72)),
]
# (type, name in Libcloud's table, uses, vCPUs, GiB, accelerator, count, GB of each)
GPUS: list[tuple[str, str, str, int, float, str, int, int]] = [
    ("Standard_NC6s_v3", "nc6sv3", EVERY, 6, 112, "V100", 1, 16),
    ("Standard_NC12s_v3", "nc12sv3", EVERY, 12, 224, "V100", 2, 16),
    ("Standard_NC24s_v3", "nc24sv3", EVERY, 24, 448, "V100", 4, 16),
    ("Standard_ND40rs_v2", "nd40rsv2", EVERY, 40, 672, "V100-32GB", 8, 32),
]
US = ("centralus", "eastus", "eastus2", "northcentralus", "southcentralus", "westus", "westus2", "westus3")
WORLD = ("australiaeast", "centralindia", "japaneast", "koreacentral", "southeastasia", "swedencentral", "uksouth", "westeurope")
# type → (uses, vCPUs, GiB, accelerator, count, GB of each, (USD an hour in each region of US; None: not offered), offered elsewhere too)
# Public catalogues give ND96isr_H100_v5 twelve GPUs; it has eight: https://learn.microsoft.com/azure/virtual-machines/sizes/gpu-accelerated/
LIST: Mapping[str, tuple[str, int, float, str, int, int, tuple[float | None, ...], bool]] = {
    "Standard_NC4as_T4_v3": (EVERY, 4, 28, "T4", 1, 16, (0.594, 0.526, 0.526, 0.526, 0.631, 0.631, 0.526, 0.526), True),
    "Standard_NC8as_T4_v3": (EVERY, 8, 56, "T4", 1, 16, (0.849, 0.752, 0.752, 0.752, 0.902, 0.902, 0.752, 0.752), True),
    "Standard_NC64as_T4_v3": (EVERY, 64, 440, "T4", 4, 16, (4.907, 4.352, 4.352, 4.352, 5.222, 5.222, 4.352, 4.352), True),
    "Standard_NC24ads_A100_v4": (EVERY, 24, 220, "A100-80GB", 1, 80,
                                 (4.151, 3.673, 3.673, None, 4.408, 4.775, 3.673, 3.673), True),
    "Standard_NC48ads_A100_v4": (EVERY, 48, 440, "A100-80GB", 2, 80,
                                 (8.301, 7.346, 7.346, None, 8.815, 9.55, 7.346, 7.346), True),
    "Standard_NC96ads_A100_v4": (EVERY, 96, 880, "A100-80GB", 4, 80,
                                 (16.602, 14.692, 14.692, None, 17.63, 19.1, 14.692, 14.692), True),
    "Standard_ND96asr_v4": (EVERY, 96, 900, "A100", 8, 40, (None, 27.197, None, None, 32.63, None, 27.197, None), False),
    "Standard_ND96amsr_A100_v4": (EVERY, 96, 1900, "A100-80GB", 8, 80,
                                  (None, 32.77, 32.77, None, 39.324, None, None, None), False),
    "Standard_NC40ads_H100_v5": (EVERY, 40, 320, "H100", 1, 94, (None, 6.98, 6.98, None, 8.38, None, None, 6.98), True),
    "Standard_NC80adis_H100_v5": (EVERY, 80, 640, "H100", 2, 94, (None, 13.96, 13.96, None, 16.76, None, None, 13.96), True),
    "Standard_ND96isr_H100_v5": (EVERY, 96, 1900, "H100", 8, 80, (None, 98.32, 98.32, None, None, 127.816, None, None), False),
    "Standard_NV36ads_A10_v5": ("vm serving", 36, 440, "A10", 1, 24, (None, 3.2, 3.2, 3.84, 3.84, 4.16, 3.2, 3.2), False),
    "Standard_NV72ads_A10_v5": ("vm serving", 72, 880, "A10", 2, 24, (None, 6.52, 6.52, 7.824, 7.824, 8.476, 6.52, 6.52), False),
}  # fmt: skip


def main() -> None:
    prices = json.loads(Path(sys.argv[1]).read_text())["compute"]["azure_linux"]
    CATALOG.mkdir(exist_ok=True)
    rows = [*_retail(prices), *_listed()]
    with (CATALOG / "machines.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([["" if v is None else v for v in ("azure", *row)] for row in rows])
    print(f"{len(rows)} lines")


def _retail(prices: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[Any, ...]]:
    """A line for each price: Libcloud knows every region, on demand and low priority."""
    plain = [(*host, None, None, None) for host in HOSTS]
    for name, key, uses, cpus, memory, gpu, count, size in (*plain, *GPUS):
        low = prices.get(f"lowpriority{key}", {})
        by_price: dict[tuple[float, float | None], list[str]] = {}
        for region, usd in sorted(prices[f"standard{key}"].items()):
            cheap = low.get(region)
            by_price.setdefault((usd, cheap if cheap and cheap < usd else None), []).append(region)
        for (usd, cheap), regions in by_price.items():
            yield (name, uses, cpus, memory, gpu, count, size, " ".join(regions), usd, cheap, *RETAIL)


def _listed() -> Iterator[tuple[Any, ...]]:
    for name, (uses, cpus, memory, gpu, count, size, rates, wide) in LIST.items():
        by_price: dict[float, list[str]] = {}
        for region, usd in zip(US, rates, strict=True):
            if usd is not None:
                by_price.setdefault(usd, []).append(region)
        for usd, regions in by_price.items():
            yield (name, uses, cpus, memory, gpu, count, size, " ".join(regions), usd, None, *LISTED)
        if wide:
            yield (name, uses, cpus, memory, gpu, count, size, " ".join(WORLD), None, None, "", "")


if __name__ == "__main__":
    main()
