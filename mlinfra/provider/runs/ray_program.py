"""What a provider's small program does as a Ray job: bring the inputs, run the step ``run`` of ``run.json``, put what it left into the store.

Standard library only: it travels in the job's working directory, beside the provider's ``container/ray_entry.py``, which knows how files are
had from the cloud's store and put there.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from mlinfra.provider.runs import container

Fetch = Callable[[str, Path], None]
"""``fetch(uri, folder)`` puts the file that the URI names, or all files below it, into the folder."""
Put = Callable[[Path, str], None]
"""``put(file, uri)`` puts a file there."""


def main(here: Path, run: str, scheme: str, fetch: Fetch, put: Put) -> int:
    """Run the job that ``here`` describes; the exit code. ``run`` is the fingerprint that its results are kept under."""
    described = json.loads((here / "run.json").read_text())
    scratch = Path(tempfile.mkdtemp(prefix="mlinfra-"))
    store = f"{scheme}{described['place']}"
    results, content = scratch / "results", scratch / "content"
    try:
        inputs = {
            name: _brought(uri, scratch / "inputs" / name, fetch) for name, uri in described["steps"]["run"]["inputs"].items()
        }
        places = container.Places(
            code=here / "code", inputs=inputs, content=content, results=results, above=results, kept=content,
            uri=lambda digest: f"{store}/content/{digest}",
        )  # fmt: skip
        code = container.run("run", described, places)
        for file in sorted(p for p in content.rglob("*") if p.is_file()):
            put(file, f"{store}/content/{file.relative_to(content).as_posix()}")
        for file in sorted(results.glob("*")):  # last: it says that all the rest is there
            put(file, f"{store}/results/{described['name']}/{run}/{file.name}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.flush()
    return code


def _brought(uri: str, folder: Path, fetch: Fetch) -> Path:
    folder.mkdir(parents=True)
    fetch(uri, folder)
    single = folder / uri.rstrip("/").rpartition("/")[2]
    return single if single.is_file() else folder
