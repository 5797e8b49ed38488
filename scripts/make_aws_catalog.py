"""Write providers/mlinfra_aws/catalog/*.csv anew from published data; see the README there for what comes from where.

    pip download --no-deps apache-libcloud && unzip apache_libcloud-*.whl libcloud/data/pricing.json
    python scripts/make_aws_catalog.py libcloud/data/pricing.json

Hardware and regional offerings are those of DescribeInstanceTypes and DescribeInstanceTypeOfferings, as moto's wheel carries them.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CATALOG = Path(__file__).parent.parent / "providers" / "mlinfra_aws" / "catalog"
COLUMNS = (
    "provider", "type", "uses", "vcpus", "memory", "accelerator", "count", "accelerator_memory", "region", "usd", "spot_usd",
    "source", "date",
)  # fmt: skip
CPU_FAMILIES = ["t3", "m5", "c5", "r5", "m6i", "c6i", "r6i", "m7i", "c7i", "r7i"]
_ACCELERATED = re.compile(r"(g|gr|p|trn|inf)[1-9]")
HOME = "us-east-1"

LIBCLOUD = ("AWS on-demand price, Linux, as in Apache Libcloud's pricing.json", "2025-03")
SKYPILOT = ("AWS price list, Linux, as in SkyPilot's catalogue", "2025-06")
SAGEMAKER = ("AWS Price List API, SageMaker training, as two public projects give it", "2025-06")

# Libcloud's figures for these are older than AWS's price cut of June 2025. (on demand, cheapest zone's spot)
NEWER: Mapping[str, Mapping[str, tuple[float, float | None]]] = {
    "p4d.24xlarge": {
        "us-east-1": (21.957642, 6.289), "us-east-2": (21.95764, 6.6618), "us-west-2": (21.95764, 9.118),
        "eu-central-1": (27.43298, 8.1571), "eu-west-1": (23.71569, 11.548),
    },
    "p4de.24xlarge": {
        "us-east-1": (27.44705, 9.7262), "us-west-2": (27.44705, 12.8344), "eu-central-1": (34.29122, None),
        "ap-northeast-1": (37.6223, 19.9892), "ap-southeast-1": (32.93646, 23.8525),
    },
    "p5.48xlarge": {
        "us-east-1": (55.04, 14.246), "us-east-2": (55.04, 15.06), "us-west-2": (55.04, 21.6229), "us-west-1": (68.8, 17.6845),
        "ap-northeast-1": (68.8, 24.8609), "ap-south-1": (66.048, 19.2169), "ap-southeast-2": (71.552, 26.6558),
        "ca-central-1": (63.296, None), "eu-north-1": (58.8928, 20.2439), "eu-west-2": (71.552, 21.6622),
    },
    "p5.4xlarge": {
        "us-east-1": (6.88, None), "us-east-2": (6.88, None), "us-west-2": (6.88, None), "ap-northeast-1": (8.6, 3.3417),
        "ap-south-1": (8.256, 2.4701), "ap-southeast-2": (8.944, None), "eu-west-2": (8.944, 2.8151),
    },
    "p5en.48xlarge": {
        "us-east-1": (63.296, 19.1652), "us-east-2": (63.296, 16.0868), "us-west-2": (63.296, 24.6657),
        "us-west-1": (79.12, 20.7454), "eu-north-1": (67.72672, 21.4136), "eu-south-2": (68.35968, 24.157),
        "ap-south-1": (75.9552, 20.3548), "ap-northeast-2": (87.34848, 33.6761),
    },
    "p6-b200.48xlarge": {
        "us-east-1": (113.9328, 19.0919), "us-east-2": (113.9328, 24.8895), "us-west-2": (113.9328, 44.8585),
    },
}  # fmt: skip

# us-west-2; those of ml.t3, ml.m5, ml.c5 and ml.g4dn are the same in us-east-1.
ML: Mapping[str, float] = {
    "ml.t3.medium": 0.05, "ml.t3.large": 0.1, "ml.t3.xlarge": 0.2, "ml.t3.2xlarge": 0.399, "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23, "ml.m5.2xlarge": 0.461, "ml.m5.4xlarge": 0.922, "ml.c5.large": 0.102, "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408, "ml.g4dn.xlarge": 0.7364, "ml.g4dn.2xlarge": 0.94, "ml.g5.xlarge": 1.408, "ml.g5.2xlarge": 1.515,
    "ml.g5.4xlarge": 2.03, "ml.g5.8xlarge": 3.06, "ml.g5.12xlarge": 7.09, "ml.g5.16xlarge": 5.12, "ml.g5.24xlarge": 10.18,
    "ml.g5.48xlarge": 20.36, "ml.g6.xlarge": 1.127, "ml.g6.2xlarge": 1.222, "ml.g6.4xlarge": 1.654, "ml.g6.8xlarge": 2.518,
    "ml.g6.12xlarge": 5.752, "ml.g6.24xlarge": 8.344, "ml.g6.48xlarge": 16.688, "ml.g6e.xlarge": 2.61, "ml.g6e.2xlarge": 2.8,
    "ml.g6e.4xlarge": 3.76, "ml.g6e.8xlarge": 5.66, "ml.g6e.12xlarge": 13.12, "ml.g6e.24xlarge": 18.83, "ml.g6e.48xlarge": 37.66,
    "ml.p4d.24xlarge": 25.251286, "ml.p5.48xlarge": 63.296,
}  # fmt: skip
ML_EVERYWHERE = ("t3", "m5", "c5", "g4dn")

USES = {
    "TrainingInstanceType": "training", "ProductionVariantInstanceType": "hosting", "ProcessingInstanceType": "processing",
    "ClusterInstanceType": "cluster",
}  # fmt: skip
NAMES = {
    "RTX PRO Server 6000": "RTXPRO6000", "inf1": "Inferentia", "inf2": "Inferentia2", "trn1": "Trainium", "trn1n": "Trainium",
    "trn2": "Trainium2",
}  # fmt: skip
CHIPS = {"Trainium2": 96}
"""Memory of a chip in GB, where DescribeInstanceTypes gives something else than the data sheet."""
NOMINAL = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141, 192, 288)
"""Sizes as they are sold, in GB: 22,888 MiB is a card of 24 GB."""


def moto_data(name: str) -> Any:
    import moto

    return json.loads(gzip.decompress((Path(moto.__file__).parent / "ec2" / "resources" / name).read_bytes()))


def offerings() -> dict[str, set[str]]:
    """Region → types that EC2 has there."""
    import moto

    folder = Path(moto.__file__).parent / "ec2" / "resources" / "instance_type_offerings" / "region"
    found = {}
    for file in sorted(folder.iterdir()):
        rows = json.loads(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_text())
        found[file.name.split(".")[0]] = {row["InstanceType"] for row in rows}
    return found


def nominal(mib: float) -> int:
    return min(NOMINAL, key=lambda size: min(abs(mib / 1024 - size), abs(mib * 1.048576 / 1000 - size)))


def hardware(type: str, info: Mapping[str, Any]) -> tuple[int, str, str, int | str, int | str]:
    """vCPUs, memory (GiB), accelerator, how many, memory of each (GB)."""
    memory = f"{info['MemoryInfo']['SizeInMiB'] / 1024:g}"
    vcpus = info["VCpuInfo"]["DefaultVCpus"]
    family = type.split(".")[0]
    for gpu in info.get("GpuInfo", {}).get("Gpus", ()):
        size = nominal(gpu["MemoryInfo"]["SizeInMiB"])
        name = NAMES.get(gpu["Name"], gpu["Name"].replace(" ", ""))
        if (name, size) in (("A100", 80), ("V100", 32)):
            name = f"{name}-{size}GB"
        return vcpus, memory, name, gpu["Count"], size
    for device in info.get("NeuronInfo", {}).get("NeuronDevices", ()):
        size = CHIPS.get(NAMES[family]) or round(device["MemoryInfo"]["SizeInMiB"] / 1024)
        return vcpus, memory, NAMES[family], device["Count"], size
    return vcpus, memory, "", "", ""


def plausible(prices: Mapping[str, Mapping[str, float]], types: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Libcloud's prices without zeros, and without those of dedicated tenancy that slipped in (a tenth too high): a family's price of a CPU (of
    a GiB for burstable ones) is one in a region; with accelerators, its ratio to the United States' is."""
    measures: dict[str, float] = {}
    for type, by_region in prices.items():
        if has_accelerator(type, types[type]):
            measures[type] = _home(by_region)
        elif type.startswith("t3."):
            measures[type] = types[type]["MemoryInfo"]["SizeInMiB"]
        else:
            measures[type] = types[type]["VCpuInfo"]["DefaultVCpus"]
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    for type, by_region in prices.items():
        for region, price in by_region.items():
            if price and measures[type]:
                rates[type.split(".")[0], region].append(float(f"{price / measures[type]:.3g}"))
    usual = {key: min(statistics.multimode(found)) for key, found in rates.items()}

    def believed(type: str, region: str, price: float) -> bool:
        return bool(price and measures[type]) and abs(price / measures[type] / usual[type.split(".")[0], region] - 1) < 0.03

    return {t: {r: p for r, p in by_region.items() if believed(t, r, p)} for t, by_region in prices.items()}


def _home(by_region: Mapping[str, float]) -> float:
    """The price in the United States' big three regions, which are the same for what stands in the catalogue."""
    return min((p for r in (HOME, "us-east-2", "us-west-2") if (p := by_region.get(r, 0.0))), default=0.0)


def ec2_rows(types: Mapping[str, Any], sold: Mapping[str, set[str]], pricing: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    wanted = {t: {r: float(p) for r, p in pricing.get(t, {}).items() if not r.startswith(("us-gov", "cn-"))} for t in types}
    libcloud = plausible(wanted, types)
    for type, info in types.items():
        groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for region in sorted(r for r, have in sold.items() if type in have and not r.startswith(("us-gov", "cn-"))):
            newer = NEWER.get(type, {}).get(region)
            if newer is not None:
                groups[(newer[0], "" if newer[1] is None else newer[1], *SKYPILOT)].append(region)
            elif type not in NEWER and region in libcloud.get(type, {}):
                groups[(libcloud[type][region], "", *LIBCLOUD)].append(region)
            else:
                groups["", "", "", ""].append(region)
        for (usd, spot, source, date), regions in groups.items():
            yield ("aws", type, "vm", *hardware(type, info), " ".join(regions), usd, spot, source, date)


def sagemaker_rows(types: Mapping[str, Any], sold: Mapping[str, set[str]]) -> Iterator[tuple[Any, ...]]:
    import botocore.session

    model = botocore.session.get_session().get_service_model("sagemaker")
    uses: dict[str, list[str]] = defaultdict(list)
    for shape, use in USES.items():
        for name in model.shape_for(shape).enum:
            uses[name].append(use)
    for type, info in types.items():
        name = f"ml.{type}"
        if name not in uses:
            continue
        regions = sorted(r for r, have in sold.items() if type in have and not r.startswith(("us-gov", "cn-")))
        priced = {"us-west-2", *((HOME,) if type.split(".")[0] in ML_EVERYWHERE else ())} if name in ML else set()
        row = ("aws", name, " ".join(uses[name]), *hardware(type, info))
        for known, where in ((True, priced & set(regions)), (False, set(regions) - priced)):
            if where:
                price = (ML[name], "", *SAGEMAKER) if known else ("", "", "", "")
                yield (*row, " ".join(sorted(where)), *price)


def main(pricing: Path) -> None:
    known = moto_data("instance_types.json.gz")
    types = {
        t: i
        for t, i in sorted(known.items(), key=lambda pair: (pair[0].split(".")[0], pair[1]["VCpuInfo"]["DefaultVCpus"]))
        if (t.split(".")[0] in CPU_FAMILIES or _ACCELERATED.match(t))
        and "x86_64" in i["ProcessorInfo"]["SupportedArchitectures"]
        and "metal" not in t
        and (t.split(".")[0] in CPU_FAMILIES or has_accelerator(t, i))
    }  # fmt: skip
    sold = offerings()
    CATALOG.mkdir(parents=True, exist_ok=True)
    prices = json.loads(pricing.read_text())["compute"]["ec2_linux"]
    for name, rows in (("ec2.csv", ec2_rows(types, sold, prices)), ("sagemaker.csv", sagemaker_rows(types, sold))):
        with (CATALOG / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)


def has_accelerator(type: str, info: Mapping[str, Any]) -> bool:
    """Whether it has a whole accelerator (fractions of a card are left out)."""
    return bool(hardware(type, info)[3])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
