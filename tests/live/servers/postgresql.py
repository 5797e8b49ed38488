"""A PostgreSQL of its own, from the machine's packages: fresh data, a socket in its own folder, no port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def _binaries() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if not installed and on_path is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return installed[-1].parent if installed else Path(str(on_path)).parent


@contextmanager
def postgresql() -> Iterator[str]:
    """The conninfo of a running server's superuser. It does not run as root, so root starts it as ``postgres``."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="mlinfra-pg-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user postgres to run PostgreSQL as")
        os.chown(folder, account.pw_uid, account.pw_gid)
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def run(*command: str) -> None:
        environ = {k: v for k, v in os.environ.items() if k != "MLINFRA_TEST_MARKER"}  # it outlives the test that asks first
        done = subprocess.run(
            command, cwd=folder, env={**environ, "LC_ALL": "C"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who
        )
        assert done.returncode == 0, command

    data = folder / "data"
    try:
        run(str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=50"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
        try:
            yield f"host={folder} user=postgres dbname=postgres"
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
