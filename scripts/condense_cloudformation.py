"""Writes providers/mlinfra_aws/data: what CloudFormation's published resource schemas say, without their prose.

    python scripts/condense_cloudformation.py

The schemas are read from the installed ``cfn-lint`` wheel, which carries AWS's registry schemas of every region.
``cloudformation.json`` holds the types that the AWS provider has a name of its own for, ``registry.json.xz`` all of them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import lzma
from pathlib import Path
from typing import Any

from mlinfra_aws.provider import AwsProvider

DATA = Path(__file__).parent.parent / "providers" / "mlinfra_aws" / "data"
PROSE = {
    "description", "examples", "title", "$comment", "handlers", "sourceUrl", "typeName", "documentationUrl", "resourceLink",
    "replacementStrategy", "$schema", "$id", "typeConfiguration", "permissions", "propertyTransform", "relationshipRef",
    "additionalIdentifiers", "lifecycle", "format", "arrayType", "uniqueItems", "deprecatedProperties", "anchor",
}  # fmt: skip
MAPS = ("properties", "definitions", "patternProperties")


def condensed(node: Any, *, names: bool = False) -> Any:
    """The schema without what no check reads. ``names``: the keys are names of properties, not keywords."""
    if isinstance(node, dict):
        kept = {}
        for key, value in node.items():
            if names or (key not in PROSE and not (key == "insertionOrder" and value is True)):
                kept[key] = condensed(value, names=key in MAPS and not names)
        return kept
    return [condensed(item) for item in node] if isinstance(node, list) else node


def published() -> dict[str, Any]:
    """Every type's condensed schema; us-east-1 first, the other regions for what it lacks."""
    root = importlib.resources.files("cfnlint") / "data" / "schemas"
    regions = [f for f in (root / "providers").iterdir() if f.name.endswith(".json") and f.name != "sam.json"]
    found: dict[str, Any] = {}
    for region in sorted(regions, key=lambda f: (f.name != "us-east-1.json", f.name)):
        for name, digest in json.loads(region.read_text()).items():
            if name not in found:
                found[name] = condensed(json.loads((root / "resources" / f"{digest}.json").read_text()))
    return found


def main() -> None:
    root = importlib.resources.files("cfnlint") / "data" / "schemas"
    date = json.loads((root / "version.json").read_text())["schema_date"]
    head = {
        "source": f"CloudFormation resource schemas in cfn-lint {importlib.metadata.version('cfn-lint')}",
        "date": date[:10],
    }
    types = published()
    names = sorted({t for t in AwsProvider.cloudformation() if t})
    own = {**head, "types": {name: types[name] for name in names}}
    lines = ",\n".join(f"{json.dumps(n)}:{json.dumps(s, separators=(',', ':'), sort_keys=True)}" for n, s in own["types"].items())
    (DATA / "cloudformation.json").write_text(
        f'{{"source":{json.dumps(head["source"])},"date":{json.dumps(head["date"])},"types":{{\n{lines}\n}}}}\n'
    )
    every = json.dumps({**head, "types": types}, separators=(",", ":"), sort_keys=True).encode()
    (DATA / "registry.json.xz").write_bytes(lzma.compress(every, preset=9 | lzma.PRESET_EXTREME))
    print(f"{len(names)} types in cloudformation.json, {len(types)} in registry.json.xz, of {head['date']}")


if __name__ == "__main__":
    main()
