"""Ray on this host: one head node a cluster, a supervised process."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlinfra.provider.failures import Invalid
from mlinfra_local import services
from mlinfra_local.client import LocalClient
from mlinfra_local.execution.scratch import write_atomically
from mlinfra_local.reservations import Reservation

_PORTS = "ray.json"


@dataclass(frozen=True, slots=True)
class RayHead:
    """``address`` is for ``ray.init``, ``dashboard`` for jobs and people; both ``""`` when it does not run."""

    address: str
    dashboard: str


def start(client: LocalClient, reserved: Reservation, *, timeout: float) -> RayHead:
    """Start the head with what is reserved, or leave it alone when it runs with just that. Invalid when Ray is not installed.

    Blocks (10 to 20 seconds)."""
    if importlib.util.find_spec("ray") is None:
        raise Invalid("Ray is not installed", path=("engine",), hint="install it with: pip install 'mlinfra-iac[ray]'")
    folder = _folder(client, reserved.name)
    running, known = services.status(folder), _known(folder)
    flags = [f"--num-cpus={int(reserved.cpus)}"] if reserved.cpus >= 1 else []
    flags += [f"--memory={reserved.memory}"] if reserved.memory else []
    flags += [f"--num-gpus={len(reserved.gpus)}"]
    if running is not None and known.get("flags") == flags:
        return _head(running.port, int(known["port"]))
    port = services.free_port()
    temporary = temporary_folder(client, reserved.name)
    temporary.mkdir(mode=0o700, exist_ok=True)
    spec = services.ServiceSpec(
        name=f"Ray of {reserved.name}",
        command=(
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
            f"--node-ip-address={services.HOST}", f"--port={port}", f"--ray-client-server-port={services.free_port()}",
            "--include-dashboard=true", f"--dashboard-host={services.HOST}", "--dashboard-port={port}",
            f"--temp-dir={temporary}", *flags,
        ),
        environment={"CUDA_VISIBLE_DEVICES": visible(reserved)},
        port=running.port if running else int(known.get("dashboard", 0)),
        any_port=True,
        health=services.answers_http("/api/version"),
    )  # fmt: skip
    started = services.start(folder, spec, timeout=timeout)
    write_atomically(folder / _PORTS, json.dumps({"port": port, "dashboard": started.port, "flags": flags}))
    return _head(started.port, port)


def find(client: LocalClient, name: str) -> RayHead | None:
    """The head that runs for this cluster; None when none does."""
    folder = _folder(client, name)
    running, known = services.status(folder), _known(folder)
    return _head(running.port, int(known["port"])) if running is not None and "port" in known else None


def stop(client: LocalClient, name: str) -> None:
    """Stop it and remove its files. Not there is success."""
    folder = _folder(client, name)
    services.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(temporary_folder(client, name), ignore_errors=True)


def log_file(client: LocalClient, name: str) -> Path:
    return services.log_file(_folder(client, name))


def visible(reserved: Reservation) -> str:
    """What CUDA_VISIBLE_DEVICES should say."""
    return ",".join(map(str, reserved.gpus))


def _folder(client: LocalClient, name: str) -> Path:
    return client.folder("services", f"ray-{name}")


def temporary_folder(client: LocalClient, name: str) -> Path:
    """Where Ray keeps its session: not below the data folder, as its sockets are some 70 characters further down, and the
    path of a socket has at most 107."""
    folder = _folder(client, name)
    return Path(tempfile.gettempdir()) / f"mlinfra-ray-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def _known(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _PORTS).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _head(dashboard: int, port: int) -> RayHead:
    return RayHead(f"{services.HOST}:{port}", f"http://{services.HOST}:{dashboard}")
