"""What a cloud's container gets of a run, as one archive: the user's code, ``run.json``, the provider's small program that runs it, and the
modules of ours that check ``expect`` there: the same as on every other target."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from importlib import resources

from mlinfra.provider.files import SelectedFile

_CHECKS = ("kinds/expectations.py", "provider/runs/expectations.py", "provider/runs/container.py", "provider/runs/ray_program.py")
_PACKAGES = ("mlinfra", "mlinfra/kinds", "mlinfra/provider", "mlinfra/provider/runs")


def program(package: str) -> bytes:
    """The provider's program: ``container/entry.py`` of its package."""
    return resources.files(package).joinpath("container/entry.py").read_bytes()


def checks() -> dict[str, bytes]:
    """The modules that run and check, by their place below the package ``mlinfra``."""
    return {name: resources.files("mlinfra").joinpath(name).read_bytes() for name in _CHECKS}


def packed(program: bytes, run: str, selected: Iterable[SelectedFile]) -> bytes:
    """The archive (.tar.gz). The same content gives the same bytes."""
    raw = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:

        def add(name: str, content: bytes, mode: int = 0o644) -> None:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))

        add("entry.py", program)
        add("run.json", run.encode())
        for package in _PACKAGES:
            add(f"{package}/__init__.py", b"")
        for name, content in checks().items():
            add(f"mlinfra/{name}", content)
        add("code/.keep", b"")
        for file in selected:
            add(f"code/{file.name}", file.path.read_bytes(), file.path.stat().st_mode & 0o777)
    return raw.getvalue()
