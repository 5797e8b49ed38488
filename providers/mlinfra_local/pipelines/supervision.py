"""The Dagster processes of a pipeline that stay: the web page, and the daemon that starts scheduled runs. All functions block."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlinfra.provider.runs.dagster_pipelines import ROLES, Wanted
from mlinfra.provider.runs.pipelines import FILE, VARIABLE
from mlinfra_local import services
from mlinfra_local.execution.scratch import write_atomically

_LOCATION = ("-m", "mlinfra_local.pipelines.location")
_SETTINGS = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
"""
_START = 120.0
"""Seconds: Dagster imports slowly on a busy machine."""


def environment(folder: Path, carried: Mapping[str, str]) -> dict[str, str]:
    """What every Dagster process of the pipeline in ``folder`` needs to know; makes Dagster's home. Holds the secrets."""
    home = folder / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        write_atomically(home / "dagster.yaml", _SETTINGS)
    return {"DAGSTER_HOME": str(home), VARIABLE: str(folder / FILE), **carried}


def keep_running(folder: Path, wanted: Wanted, carried: Mapping[str, str], port: int) -> None:
    """Bring up what should run and stop what should not; what runs with today's definition is left alone.

    ``port`` is where the web page was before; another is taken when it is not free. Raises what ``services.start`` raises."""
    for role in ROLES:
        if role not in wanted.roles:
            services.stop(folder / role)
    stale = [role for role in wanted.roles if not _is_current(folder, role, carried)]
    shared = environment(folder, carried)
    with ThreadPoolExecutor(len(ROLES)) as threads:
        starts = [threads.submit(_start, folder, role, shared, port) for role in stale]
    for start in starts:
        start.result()


def is_running(folder: Path, wanted: Wanted) -> bool:
    """Whether every process that should be there lives, and the web page answers."""
    for role in wanted.roles:
        service = services.status(folder / role)
        if service is None:
            return False
        if role == "webserver":
            try:
                if not services.answers_http("/server_info")(service.port):
                    return False
            except OSError:
                return False
    return True


def url(folder: Path) -> str | None:
    """Where the web page is, while its process lives."""
    service = services.status(folder / "webserver")
    return f"http://{services.HOST}:{service.port}" if service else None


def stop(folder: Path) -> None:
    """Stop everything. Gone already is success."""
    for role in reversed(ROLES):
        services.stop(folder / role)


def _start(folder: Path, role: str, shared: Mapping[str, str], port: int) -> None:
    home = Path(shared["DAGSTER_HOME"])
    if role == "webserver":
        spec = services.ServiceSpec(
            name="the web page of the pipeline",
            command=(sys.executable, "-m", "dagster_webserver", *_LOCATION, "-h", services.HOST, "-p", "{port}"),
            environment=shared,
            port=port or services.free_port(),
            any_port=True,
            health=services.answers_http("/server_info"),
        )
    else:
        began = time.time()
        spec = services.ServiceSpec(
            name="the daemon of the pipeline",
            command=(sys.executable, "-m", "dagster._daemon", "run", *_LOCATION),
            environment=shared,
            health=lambda _: _has_beaten(home, began),
        )
    services.start(folder / role, spec, timeout=_START)
    write_atomically(folder / role / "definition.sha256", _digest(folder))


def _is_current(folder: Path, role: str, carried: Mapping[str, str]) -> bool:
    service = services.status(folder / role)
    if service is None:
        return False
    with contextlib.suppress(OSError):
        if (folder / role / "definition.sha256").read_text() == _digest(folder):
            return _carries(service.pid, carried)
    return False


def _carries(pid: int, carried: Mapping[str, str]) -> bool:
    """Secrets are in no file: whether the process has today's is asked of the process."""
    import psutil

    try:
        found = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return False
    return all(found.get(name) == value for name, value in carried.items())


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / FILE).read_bytes()).hexdigest()


def _has_beaten(home: Path, since: float) -> bool:
    """Whether the daemon's scheduler has reported itself since then (Dagster's table ``daemon_heartbeats``)."""
    database = home / "history" / "runs.db"
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1.0)) as connection:
            row = connection.execute(
                "SELECT max(CAST(strftime('%s', timestamp) AS INTEGER)) FROM daemon_heartbeats WHERE daemon_type = 'SCHEDULER'"
            ).fetchone()
    except sqlite3.Error:
        return False
    return bool(row and row[0] and row[0] >= int(since))
