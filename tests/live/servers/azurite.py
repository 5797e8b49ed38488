"""Azure Blob Storage by Microsoft's Azurite, on a free port. ``.ci/run`` installs it into CACHE by npm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlinfra" / "azurite"
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's published account, the same everywhere."""


def _command() -> str:
    cached = CACHE / "node_modules" / ".bin" / "azurite-blob"
    found = shutil.which("azurite-blob") or (str(cached) if cached.exists() else None)
    if found is None or shutil.which("node") is None:
        pytest.skip(f"Azurite is not installed: npm install --prefix {CACHE} azurite")
    return found


@contextmanager
def azurite(tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """The connection string of a running Azurite; what it holds ends with it. With ``tls`` (certificate and key) it speaks https and takes the
    tokens of whatever authority."""
    command = _command()
    secure = [] if tls is None else ["--cert", str(tls[0]), "--key", str(tls[1]), "--oauth", "basic"]
    with tempfile.TemporaryDirectory(prefix="mlinfra-azurite-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [command, "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", folder, "--skipApiVersionCheck", *secure],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={k: v for k, v in os.environ.items() if k != "MLINFRA_TEST_MARKER"},  # it outlives the test that asks first
            )
        try:
            url = _address(process, log)
            scheme = url.partition(":")[0]
            yield f"DefaultEndpointsProtocol={scheme};AccountName={_ACCOUNT};AccountKey={_KEY};BlobEndpoint={url}/{_ACCOUNT};"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"listens on (https?://[\d.]+:\d+)", log.read_text(errors="replace"))
        if found:
            return found[1]
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.1)
    pytest.fail(f"Azurite did not start within 60 s: {log.read_text(errors='replace')}")
