"""Supervises detached processes: started, found again by a later command, health-checked, stopped; nothing is left behind.

A service lives in a folder of its own: ``service.json`` (pid, port, when it was created), ``log.txt``, and whatever its owner
puts there. Every process of it carries ``MLINFRA_SERVICE=FOLDER`` in its environment, so that what a crash left is found even
when ``service.json`` was never written. All functions are synchronous: call them by ``asyncio.to_thread``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mlinfra.provider.failures import Failure, Invalid, Timeout, Transient
from mlinfra_local import processes
from mlinfra_local.ports import HOST, Health, answers_http, answers_tcp, free_port, is_free
from mlinfra_local.processes import Service

__all__ = [
    "HOST",
    "Health",
    "Service",
    "ServiceSpec",
    "answers_http",
    "answers_tcp",
    "find_strays",
    "free_port",
    "log_file",
    "start",
    "status",
    "stop",
    "tail",
]

_RECORD = "service.json"
_LOG = "log.txt"
_LOG_LIMIT = 16 * 2**20
_POLL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """What to run. ``{port}`` in ``command`` and ``environment`` stands for the port.

    ``environment``  added to this process's own; never written to a file
    ``port``         the port wanted; 0: none, or any when ``any_port``
    ``any_port``     another port is taken when the wanted one is not free
    ``health``       polled until it says True; None: it is enough that the process lives
    ``stop_signal``  what asks it to stop
    ``workdir``      its working directory; default: the service's folder
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    any_port: bool = False
    health: Health | None = None
    stop_signal: int = signal.SIGTERM
    workdir: Path | None = None


def start(folder: Path, spec: ServiceSpec, *, timeout: float = 60.0) -> Service:
    """Start the service and wait until it is healthy. What ran in this folder before is stopped first.

    Raises Invalid when it dies while starting or its port is taken (with its last log lines), Timeout when it does not become
    healthy in ``timeout`` seconds. Nothing is left running then.
    """
    stop(folder)
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout
    wanted = spec.port
    for attempt in range(5):
        port = _port(spec, wanted)
        try:
            return _start_once(folder, spec, port, deadline, timeout)
        except Failure:
            # Somebody may have taken the port between our look and the service's bind.
            if not (spec.any_port and port and attempt < 4 and not is_free(port)):
                raise
            wanted = 0
    raise AssertionError


def status(folder: Path) -> Service | None:
    """The service as recorded, when its process lives; None when it is dead, or never was."""
    service = _recorded(folder)
    return service if service is not None and processes.process(folder, service) is not None else None


def stop(folder: Path, *, timeout: float = 15.0) -> None:
    """Ask it to stop, wait up to ``timeout`` seconds, then kill; with all its children and strays. Gone already is success."""
    service = _recorded(folder)
    homes, leader = [str(folder)], processes.process(folder, service) if service else None
    if service is not None and leader is None and (moved := processes.moved_from(service)):
        homes, leader = [*homes, moved], processes.process(Path(moved), service)
    members = processes.members(homes, service)
    if leader is not None and service is not None:
        with processes.gone_is_fine():
            leader.send_signal(service.stop_signal)
        processes.wait([leader], timeout)
        members += processes.members(homes, service)
    for process in members:
        with processes.gone_is_fine():
            process.kill()
    left = processes.wait(members, 10.0)
    if left:
        pids = ", ".join(str(p.pid) for p in left)
        raise Timeout(f"{service.name if service else folder.name} cannot be killed: process {pids} does not end")
    (folder / _RECORD).unlink(missing_ok=True)


def find_strays(folder: Path) -> list[int]:
    """Pids of processes that belong to this folder, though ``service.json`` does not know them (a crash's leftovers)."""
    service = _recorded(folder)
    known: set[int] = set()
    leader = processes.process(folder, service) if service else None
    if leader is not None:
        with processes.gone_is_fine():
            known = {leader.pid, *(child.pid for child in leader.children(recursive=True))}
    return [p.pid for p in processes.marked([str(folder)]) if p.pid not in known]


def tail(folder: Path, lines: int = 20) -> list[str]:
    """The last lines of its log, oldest first; empty when there is none."""
    return _tail(folder, lines, 0)


def log_file(folder: Path) -> Path:
    """Where its output goes."""
    return folder / _LOG


def _port(spec: ServiceSpec, wanted: int) -> int:
    if wanted and is_free(wanted):
        return wanted
    if spec.any_port:
        return free_port()
    if wanted:
        raise Invalid(f"{spec.name} cannot start: port {wanted} is in use", hint="name another port, or stop what listens there")
    return 0


def _start_once(folder: Path, spec: ServiceSpec, port: int, deadline: float, timeout: float) -> Service:
    mark = _rotated_log_size(folder)
    child = _spawn(folder, spec, port)
    try:
        service = _record(folder, spec, child, port)
        while True:
            if child.poll() is not None:
                raise _died(folder, spec.name, child.returncode, mark)
            if _is_healthy(spec, service):
                return service
            if time.monotonic() >= deadline:
                raise Timeout(f"{spec.name} did not become healthy in {timeout:g} seconds{_quoted(_tail(folder, 20, mark))}")
            time.sleep(_POLL)
    except BaseException:
        # A failed or interrupted start leaves nothing. The log stays: it says why.
        stop(folder, timeout=1.0)
        raise


def _spawn(folder: Path, spec: ServiceSpec, port: int) -> subprocess.Popen[bytes]:
    number = str(port)
    command = [part.replace("{port}", number) for part in spec.command]
    added = {name: value.replace("{port}", number) for name, value in spec.environment.items()}
    environment = {**os.environ, **added, processes.VARIABLE: str(folder)}
    with _open_log(folder) as log:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=spec.workdir or folder,
                env=environment,
                start_new_session=True,
                close_fds=True,
            )
        except OSError as error:
            raise Invalid(f"{spec.name} cannot start: {error}") from error
    processes.children[child.pid] = child
    return child


def _record(folder: Path, spec: ServiceSpec, child: subprocess.Popen[bytes], port: int) -> Service:
    import psutil

    try:
        started = psutil.Process(child.pid).create_time()
    except psutil.Error:
        started = time.time()
    service = Service(name=spec.name, pid=child.pid, port=port, started=started, stop_signal=int(spec.stop_signal))
    temporary = folder / (_RECORD + ".new")
    temporary.write_text(
        json.dumps(
            {
                "name": service.name,
                "pid": service.pid,
                "port": service.port,
                "started": service.started,
                "stop_signal": service.stop_signal,
            }
        )
    )
    temporary.replace(folder / _RECORD)
    return service


def _recorded(folder: Path) -> Service | None:
    try:
        found = json.loads((folder / _RECORD).read_text())
        return Service(
            name=str(found["name"]),
            pid=int(found["pid"]),
            port=int(found["port"]),
            started=float(found["started"]),
            stop_signal=int(found["stop_signal"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_healthy(spec: ServiceSpec, service: Service) -> bool:
    if spec.health is None:
        return True
    try:
        healthy = spec.health(service.port)
    except OSError:
        return False
    return healthy and (not service.port or _listens(service))


def _listens(service: Service) -> bool:
    """Whether it is this service that listens on the port, and not a stranger who answers in its place."""
    import psutil

    try:
        leader = psutil.Process(service.pid)
        for process in (leader, *leader.children(recursive=True)):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == service.port:
                    return True
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
    return False


def _died(folder: Path, name: str, code: int, mark: int) -> Failure:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    message = f"{name} {how} while starting{_quoted(_tail(folder, 20, mark))}"
    return Transient(message) if code == -signal.SIGKILL else Invalid(message)


def _quoted(lines: list[str]) -> str:
    return ":\n" + "\n".join(f"    {line}" for line in lines) if lines else "; its log is empty"


def _open_log(folder: Path) -> IO[bytes]:
    return os.fdopen(os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _rotated_log_size(folder: Path) -> int:
    """Where this start's lines will begin; a log that has grown large is put aside first."""
    log = folder / _LOG
    size = log.stat().st_size if log.exists() else 0
    if size > _LOG_LIMIT:
        log.replace(folder / "log.1.txt")
        return 0
    return size


def _tail(folder: Path, lines: int, mark: int) -> list[str]:
    try:
        with (folder / _LOG).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(mark, size - 256 * 1024))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return list(deque((line for line in text.splitlines() if line.strip()), maxlen=lines))
