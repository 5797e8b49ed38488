"""Runs a training job on a node of a Ray cluster on Compute Engine: ``python ray_entry.py RUN``. Standard library only.

Files come from Cloud Storage and go there, with the token of the machine's service account:
https://cloud.google.com/compute/docs/access/authenticate-workloads#applications, https://cloud.google.com/storage/docs/json_api
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from mlinfra.provider.runs import container, ray_program  # noqa: E402

METADATA = f"http://{os.environ.get('GCE_METADATA_HOST', 'metadata.google.internal')}/computeMetadata/v1/instance"
STORAGE = os.environ.get("STORAGE_EMULATOR_HOST", "https://storage.googleapis.com")
"""Both variables are Google's own: its libraries know them too."""
ATTEMPTS = 5
PIECE = 1 << 20
SLACK = 120.0


class Store:
    """Cloud Storage, as far as a job needs it."""

    def __init__(self) -> None:
        self._token, self._until = "", 0.0

    def fetch(self, uri: str, folder: Path) -> None:
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        key = key.rstrip("/")
        for name in self._names(bucket, key):
            if name == key:
                below = key.rpartition("/")[2]
            elif name.startswith(f"{key}/") and not name.endswith("/"):
                below = name.removeprefix(f"{key}/")
            else:
                continue
            target = folder / below
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                self._ask("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media") as body,
                target.open("wb") as file,
            ):
                while piece := body.read(PIECE):
                    file.write(piece)

    def put(self, file: Path, uri: str) -> None:
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        self._ask("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}", file).close()

    def _names(self, bucket: str, prefix: str) -> Iterator[str]:
        page = ""
        while True:
            with self._ask("GET", f"/storage/v1/b/{bucket}/o?prefix={quote(prefix, safe='')}&pageToken={quote(page)}") as body:
                found = json.load(body)
            yield from (item["name"] for item in found.get("items", ()))
            page = found.get("nextPageToken", "")
            if not page:
                return

    def _ask(self, method: str, path: str, file: Path | None = None) -> Any:
        """The answer, to be read. What may pass is tried again; a refusal is told."""
        for attempt in range(ATTEMPTS):
            try:
                headers = {"Authorization": f"Bearer {self._access()}"}
                if file is None:
                    return urllib.request.urlopen(
                        urllib.request.Request(STORAGE + path, headers=headers, method=method), timeout=300
                    )
                headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
                with file.open("rb") as body:
                    return urllib.request.urlopen(
                        urllib.request.Request(STORAGE + path, body, headers, method=method), timeout=3600
                    )
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code != 429:
                    told = error.read().decode(errors="replace")[:500]
                    raise container.Broken(f"Cloud Storage refuses {method} {path.partition('?')[0]}: {told}") from None
                if attempt == ATTEMPTS - 1:
                    raise
            except OSError:
                if attempt == ATTEMPTS - 1:
                    raise
            time.sleep(2**attempt)
        raise AssertionError

    def _access(self) -> str:
        """The token of the machine's service account, a new one before it expires."""
        if time.monotonic() > self._until:
            wanted = urllib.request.Request(f"{METADATA}/service-accounts/default/token", headers={"Metadata-Flavor": "Google"})
            with urllib.request.urlopen(wanted, timeout=30) as body:
                found = json.load(body)
            self._token, self._until = found["access_token"], time.monotonic() + found["expires_in"] - SLACK
        return self._token


def main(run: str) -> int:
    store = Store()
    try:
        return ray_program.main(HERE, run, "gs://", store.fetch, store.put)
    except container.Broken as error:
        sys.stderr.write(f"mlinfra: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
