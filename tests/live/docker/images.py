"""Images for the tests, made from Debian packages and PyPI wheels: no registry can be reached where the tests run.

Each stands in for a public image and keeps that one's interface: its commands, users, ports and folders. A tag carries the digest of
the recipe, so that an image is made once per engine; what was downloaded is kept below the user's cache folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlinfra" / "docker-images"
ROOT = Path(__file__).parents[3]
_LABEL = {"mlinfra-test": "image"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """``debian`` packages are unpacked below ``/``, ``wheels`` (requirements, with the project's constraints) into the Python path;
    ``files`` (path → text) are written, executable below a ``bin``; ``config`` is what a Dockerfile would say (``CMD …``)."""

    name: str
    base: Recipe | None = None
    debian: Sequence[str] = ()
    wheels: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    config: Sequence[str] = ()
    extra: Callable[[Path], None] | None = None
    revision: int = 1

    @property
    def digest(self) -> str:
        parts = [
            self.name,
            *self.debian,
            *self.wheels,
            *self.config,
            str(self.revision),
            *(f"{k}={v}" for k, v in self.files.items()),
        ]
        if self.wheels:
            parts.append((ROOT / "constraints.txt").read_text())
        if self.base:
            parts.append(self.base.digest)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def tag(self) -> str:
        return f"mlinfra-test/{self.name}:{self.digest}"


_SITE = "usr/local/lib/python3.11/dist-packages"
COMPILED = f"RUN python3 -m compileall -q -j 0 /{_SITE} || true"
"""As a pulled image's packages are: a container does not keep what it compiles."""

BASE = Recipe(
    name="python",
    debian=(
        "base-passwd", "busybox-static", "ca-certificates", "libbz2-1.0", "libc-bin", "libc6", "libcrypt1", "libdb5.3", "libexpat1",
        "libffi8", "libgcc-s1", "libgomp1", "liblzma5", "libncursesw6", "libpython3.11-minimal", "libpython3.11-stdlib", "libreadline8",
        "libsqlite3-0", "libssl3", "libstdc++6", "libtinfo6", "libuuid1", "media-types", "netbase", "python3.11", "python3.11-minimal",
        "tzdata", "zlib1g",
    ),
    files={
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    },
    config=("ENV PYTHONUNBUFFERED=1", 'CMD ["python3"]'),
)  # fmt: skip
"""In place of ``python:3.11-slim`` and of ``busybox``."""


def _milvus(root: Path) -> None:
    """The layout of the public image: ``/milvus/bin``, ``/milvus/lib``, ``/milvus/configs``, and its configuration's defaults."""
    import lzma

    wheel = root / "wheel"
    _install(("milvus==2.3.5",), wheel, dependencies=False)
    data = wheel / "milvus" / "data"
    for packed in (data / "bin").glob("*.lzma"):
        target = root / "milvus" / ("bin" if packed.stem == "milvus" else "lib") / packed.stem
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(lzma.decompress(packed.read_bytes()))
        target.chmod(0o755)
    folders = {"etcd_data_dir": "default.etcd", "local_storage_dir": "/var/lib/milvus/data/", "system_log_path": '""'}
    folders |= {"rocksmq_data_dir": "/var/lib/milvus/rdb_data"}
    template = (data / "config.yaml.template").read_text()
    text = re.sub(r"{{ (\w+)(?:\(\w+\))?(?:: ([^ }]+))? }}", lambda m: folders.get(m[1], m[2] or ""), template)
    text = text.replace("embed: true", "embed: false").replace("storageType: local", "storageType: remote")
    (root / "milvus" / "configs").mkdir(parents=True)
    (root / "milvus" / "configs" / "milvus.yaml").write_text(text)
    shutil.copy(data / "glog.conf", root / "milvus" / "configs" / "glog.conf")
    shutil.rmtree(wheel)


MILVUS = Recipe(
    name="milvus",
    base=BASE,
    debian=(
        "curl", "libbrotli1", "libcom-err2", "libcurl4", "libgmp10", "libgnutls30", "libgssapi-krb5-2", "libhogweed6", "libidn2-0",
        "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0", "libldap-2.5-0", "libnettle8", "libnghttp2-14", "libp11-kit0",
        "libpsl5", "librtmp1", "libsasl2-2", "libssh2-1", "libtasn1-6", "libunistring2", "libzstd1",
    ),
    config=(
        "ENV PATH=/milvus/bin:/usr/local/bin:/usr/bin:/bin LD_LIBRARY_PATH=/milvus/lib MILVUSCONF=/milvus/configs",
        "WORKDIR /milvus",
    ),
    extra=_milvus,
)  # fmt: skip
"""In place of ``milvusdb/milvus``: the real server 2.3.5, out of its PyPI wheel."""


def _full_mlflow(root: Path) -> None:
    """The server and its web page, without what they do not need: half of the full package's requirements."""
    _install(("mlflow==3.17.2",), root / _SITE, dependencies=False)


MLFLOW = Recipe(
    name="mlflow",
    base=BASE,
    wheels=(
        "mlflow-skinny==3.17.2", "sqlalchemy", "alembic", "sqlparse", "Flask", "flask-cors", "graphene", "gunicorn", "huey", "pandas",
        "uvicorn", "aiohttp", "cryptography",
    ),
    files={"usr/local/bin/mlflow": "#!/usr/bin/python3\nfrom mlflow.cli import cli\n\ncli()\n"},
    extra=_full_mlflow,
)  # fmt: skip
"""In place of ``ghcr.io/mlflow/mlflow``."""


def ensure(api: Any, recipe: Recipe) -> str:
    """The tag of the recipe's image, made on the engine unless it is there."""
    with _locked(recipe.name):
        if not _has(api, recipe.tag):
            if recipe.base is not None:
                ensure(api, recipe.base)
            _make(api, recipe)
    return recipe.tag


def _has(api: Any, tag: str) -> bool:
    return bool(api.images(name=tag))


def _make(api: Any, recipe: Recipe) -> None:
    root = CACHE / "work" / f"{recipe.name}-{recipe.digest}-{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        for deb in _debs(recipe.debian):
            subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
        if recipe.base is None:
            _finish_base(root)
        if recipe.wheels:
            _install(recipe.wheels, root / _SITE)
        for path, text in recipe.files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if "bin" in file.parts else 0o644)
        if recipe.extra:
            recipe.extra(root)
        _build(api, recipe, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _debs(packages: Sequence[str]) -> list[Path]:
    """Downloaded packages, kept: a version is in its file's name, so what is kept is used as long as it is there."""
    folder = CACHE / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in packages if not list(folder.glob(f"{p}_*.deb"))]
    if missing:
        command = ["apt-get", "download", "-qq", *missing]
        if subprocess.run(command, cwd=folder, capture_output=True).returncode:
            subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True)
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return [next(folder.glob(f"{p}_*.deb")) for p in packages]


def _finish_base(root: Path) -> None:
    """What the packages' own scripts would do."""
    busybox = root / "bin" / "busybox"
    for name in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        link = root / "bin" / name
        if not any((root / d / name).exists() for d in ("bin", "usr/bin", "sbin", "usr/sbin")):
            link.symlink_to("busybox")
    for name in ("python3", "python"):
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to("python3.11")
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(c.read_text() for c in certificates))
    for name in ("tmp", "root", "var/tmp", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    for name in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian"):
        shutil.rmtree(root / name, ignore_errors=True)


def _install(requirements: Sequence[str], target: Path, *, dependencies: bool = True) -> None:
    target.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target", str(target),
        "--constraint", str(ROOT / "constraints.txt"), "--python-version", "3.11", "--only-binary", ":all:", *requirements,
        *(() if dependencies else ("--no-deps",)),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for junk in target.rglob("tests"):
        shutil.rmtree(junk, ignore_errors=True)


def _build(api: Any, recipe: Recipe, root: Path) -> None:
    """One layer over the base, by the engine's own builder: ``ADD`` unpacks a tar."""
    lines = [f"FROM {recipe.base.tag if recipe.base else 'scratch'}", "ADD root.tar /", *recipe.config]
    lines += [f'LABEL "{key}"="{value}"' for key, value in _LABEL.items()]
    context = root.with_suffix(".tar")
    inner = root.with_suffix(".root.tar")
    try:
        with tarfile.open(inner, "w") as tar:
            tar.add(root, arcname=".", filter=_as_root)
        with tarfile.open(context, "w") as tar:
            tar.add(inner, arcname="root.tar")
            text = "\n".join(lines).encode()
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
        with context.open("rb") as file:
            messages = list(api.build(fileobj=file, custom_context=True, tag=recipe.tag, rm=True, forcerm=True, decode=True))
        assert _has(api, recipe.tag), messages[-3:]
    finally:
        context.unlink(missing_ok=True)
        inner.unlink(missing_ok=True)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """One process at a time makes an image: the tests run in several."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
