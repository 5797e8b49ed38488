"""Write providers/mlinfra_gcp/catalog/compute.csv anew; see the README there for what comes from where.

    pip download --no-deps apache-libcloud && unzip apache_libcloud-*.whl libcloud/data/pricing.json
    python scripts/make_gcp_catalog.py libcloud/data/pricing.json

Google prices cores, memory and accelerators apart: a line is a host with its accelerators, and its price the sum of those.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlinfra_gcp.zones import ACCELERATOR_ZONES

CATALOG = Path(__file__).parent.parent / "providers" / "mlinfra_gcp" / "catalog"
COLUMNS = (
    "provider", "type", "uses", "vcpus", "memory", "accelerator", "count", "accelerator_memory", "region", "usd", "spot_usd",
    "source", "date",
)  # fmt: skip
HOSTS = ("Compute Engine's price of cores and memory, as in Apache Libcloud's pricing.json", "2025-03")
GPUS = ("Compute Engine's price list: host (Apache Libcloud's pricing.json) plus accelerators (public catalogues)", "2025-03")
WHOLE = ("Google's price list, as public catalogues give it", "2025-03")
USES = "vm training serving"

# family → (price table, [(type, vCPUs, GiB)]); https://cloud.google.com/compute/docs/general-purpose-machines
FAMILIES: Mapping[str, list[tuple[str, int, float]]] = {
    "e2": [(f"e2-standard-{n}", n, n * 4) for n in (2, 4, 8, 16, 32)] + [(f"e2-highmem-{n}", n, n * 8) for n in (2, 4, 8, 16)],
    "n1": [(f"n1-standard-{n}", n, n * 3.75) for n in (2, 4, 8, 16, 32, 64)]
    + [(f"n1-highmem-{n}", n, n * 6.5) for n in (2, 4, 8, 16, 32)],
    "n2": [(f"n2-standard-{n}", n, n * 4) for n in (2, 4, 8, 16, 32, 64, 80)]
    + [(f"n2-highmem-{n}", n, n * 8) for n in (2, 4, 8, 16, 32)],
}
# accelerator → (GB, USD an hour in the us regions, USD spot, count → hosts it may be attached to)
# https://cloud.google.com/compute/docs/gpus#n1-gpus, https://cloud.google.com/compute/gpus-pricing
ATTACHED: Mapping[str, tuple[int, float, float, dict[int, tuple[int, ...]]]] = {
    "T4": (16, 0.35, 0.11, {1: (4, 8, 16), 2: (8, 16, 32), 4: (16, 32, 64)}),
    "V100": (16, 2.48, 0.74, {1: (4, 8), 2: (8, 16), 4: (16, 32), 8: (64,)}),
    "P100": (16, 1.46, 0.43, {1: (4, 8, 16), 2: (8, 16, 32), 4: (32, 64)}),
}
# type → (vCPUs, GiB, accelerator, count, GB of each, USD an hour in us-central1)
# https://cloud.google.com/compute/docs/accelerator-optimized-machines, https://cloud.google.com/compute/vm-instance-pricing
BUILT_IN: Mapping[str, tuple[int, float, str, int, float, float | None]] = {
    "g2-standard-4": (4, 16, "L4", 1, 24, 0.70683),
    "g2-standard-8": (8, 32, "L4", 1, 24, 0.85362),
    "g2-standard-24": (24, 96, "L4", 2, 24, None),
    "g2-standard-48": (48, 192, "L4", 4, 24, None),
    "g2-standard-96": (96, 384, "L4", 8, 24, None),
    "a2-highgpu-1g": (12, 85, "A100", 1, 40, 3.673385),
    "a2-highgpu-2g": (24, 170, "A100", 2, 40, 7.34677),
    "a2-highgpu-4g": (48, 340, "A100", 4, 40, 14.69354),
    "a2-highgpu-8g": (96, 680, "A100", 8, 40, 29.38708),
    "a2-megagpu-16g": (96, 1360, "A100", 16, 40, None),
    "a2-ultragpu-1g": (12, 170, "A100-80GB", 1, 80, None),
    "a2-ultragpu-2g": (24, 340, "A100-80GB", 2, 80, None),
    "a2-ultragpu-4g": (48, 680, "A100-80GB", 4, 80, None),
    "a2-ultragpu-8g": (96, 1360, "A100-80GB", 8, 80, None),
    "a3-highgpu-8g": (208, 1872, "H100", 8, 80, 87.8),
    "a3-ultragpu-8g": (224, 2952, "H200", 8, 141, None),
}
# slice → (vCPUs, GiB, generation, chips, GB of each, USD a chip and hour); https://cloud.google.com/tpu/docs/regions-zones, /tpu/pricing
SLICES: Mapping[str, tuple[int, float, str, int, float, float]] = {
    "v5litepod-1": (24, 48, "TPU-v5e", 1, 16, 1.2),
    "v5litepod-4": (112, 192, "TPU-v5e", 4, 16, 1.2),
    "v5litepod-8": (224, 384, "TPU-v5e", 8, 16, 1.2),
    "v5p-8": (208, 448, "TPU-v5p", 4, 95, 4.2),
    "v6e-1": (44, 176, "TPU-v6e", 1, 32, 2.7),
    "v6e-4": (180, 720, "TPU-v6e", 4, 32, 2.7),
    "v6e-8": (180, 1440, "TPU-v6e", 8, 32, 2.7),
}


def main() -> None:
    prices = json.loads(Path(sys.argv[1]).read_text())["compute"]["gce_instances"]
    CATALOG.mkdir(exist_ok=True)
    with (CATALOG / "compute.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        rows = [*_hosts(prices), *_attached(prices), *_built_in(), *_slices()]
        writer.writerows([["" if v is None else v for v in row] for row in rows])
    print(f"{len(rows)} lines")


def _rate(table: Mapping[str, Any], kind: str, region: str, cpus: int, memory: float) -> float | None:
    core = table["cpu"].get(kind, {}).get(region, {}).get("price", 0.0)
    ram = table["ram"].get(kind, {}).get(region, {}).get("price", 0.0)
    return round(core * cpus + ram * memory, 5) if core and ram else None


def _hosts(prices: Mapping[str, Any]) -> Iterator[list[Any]]:
    for family, types in FAMILIES.items():
        table = prices[family]
        for name, cpus, memory in types:
            by_price: dict[tuple[float | None, float | None], list[str]] = {}
            for region in sorted(table["cpu"]["on_demand"]):
                usd = _rate(table, "on_demand", region, cpus, memory)
                spot = _rate(table, "preemptible", region, cpus, memory)
                if usd is not None:
                    by_price.setdefault((usd, spot if spot and spot < usd else None), []).append(region)
            for (usd, spot), regions in by_price.items():
                yield ["gcp", name, USES, cpus, memory, None, None, None, " ".join(regions), usd, spot, *HOSTS]


def _attached(prices: Mapping[str, Any]) -> Iterator[list[Any]]:
    table = prices["n1"]
    for gpu, (size, usd, spot, counts) in ATTACHED.items():
        regions = sorted({z.rpartition("-")[0] for z in ACCELERATOR_ZONES[gpu]})
        for count, hosts in counts.items():
            for cpus in hosts:
                memory = cpus * 3.75
                for region in regions:
                    host = _rate(table, "on_demand", region, cpus, memory)
                    cheap = _rate(table, "preemptible", region, cpus, memory)
                    priced = region.startswith("us-") and host is not None
                    total = round(host + usd * count, 5) if priced and host is not None else None
                    less = round(cheap + spot * count, 5) if priced and cheap is not None else None
                    source = GPUS if priced else ("", "")
                    yield [
                        "gcp",
                        f"n1-standard-{cpus}+{gpu}:{count}",
                        USES,
                        cpus,
                        memory,
                        gpu,
                        count,
                        size,
                        region,
                        total,
                        less,
                        *source,
                    ]


def _built_in() -> Iterator[list[Any]]:
    for name, (cpus, memory, gpu, count, size, usd) in BUILT_IN.items():
        regions = sorted({z.rpartition("-")[0] for z in ACCELERATOR_ZONES[gpu]})
        if usd is not None:
            yield ["gcp", name, USES, cpus, memory, gpu, count, size, "us-central1", usd, None, *WHOLE]
            regions = [r for r in regions if r != "us-central1"]
        yield ["gcp", name, USES, cpus, memory, gpu, count, size, " ".join(regions), None, None, "", ""]


def _slices() -> Iterator[list[Any]]:
    for name, (cpus, memory, kind, chips, size, usd) in SLICES.items():
        regions = sorted({z.rpartition("-")[0] for z in ACCELERATOR_ZONES[kind]})
        yield ["gcp", name, "tpu", cpus, memory, kind, chips, size, " ".join(regions), round(usd * chips, 4), None, *WHOLE]


if __name__ == "__main__":
    main()
