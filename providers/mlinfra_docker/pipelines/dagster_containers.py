"""Dagster's containers of a pipeline: the web page, and the daemon that starts scheduled runs.

Both see the pipeline's volume (definition, code, Dagster's home) and the engine's socket: the steps of a scheduled run are
containers beside them. Our own code is copied in, so that a step is the same whoever starts it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlinfra.provider.docker_engine.tunnel import SOCKET
from mlinfra.provider.runs.dagster_pipelines import Wanted
from mlinfra.provider.runs.pipelines import VARIABLE, to_json
from mlinfra_docker import containers, labels, volumes
from mlinfra_docker import volume_store as store
from mlinfra_docker.client import DockerClient
from mlinfra_docker.containers import Inspect, Plan
from mlinfra_docker.pipelines.steps import Place
from mlinfra_docker.runs import environment
from mlinfra_docker.runs.run import secret_key
from mlinfra_docker.volumes import MOUNTED, mount

REQUIREMENTS = ("dagster==1.13.27", "dagster-webserver==1.13.27", "docker==7.2.0", "pandas==3.1.1")
TOLD = "MLINFRA_DOCKER"
"""The variable that tells the containers whose pipeline it is, and the settings of the target."""

_ROLE = "mlinfra:role"
_NAME = "mlinfra:pipeline"
_CONTENT = "mlinfra:content"
_PORT = 3000
_HOME = "dagster/home"
_MOUNT = "/mlinfra/pipeline"
_LIBRARY = "/mlinfra/lib"
_START = 300.0
_SETTINGS = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
"""
_LOCATION = ["-m", "mlinfra_docker.pipelines.location"]
_ANSWERS = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{_PORT}/server_info', timeout=5)"
_BEATS = (
    "import os, sqlite3, sys; d = sqlite3.connect('file:' + os.environ['DAGSTER_HOME'] + '/history/runs.db?mode=ro', uri=True); "
    "r = d.execute(\"SELECT strftime('%s', 'now') - max(CAST(strftime('%s', timestamp) AS INTEGER)) FROM daemon_heartbeats "
    "WHERE daemon_type = 'SCHEDULER'\").fetchone(); sys.exit(not (r and r[0] is not None and r[0] < 90))"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The containers that there are, by role; ``url`` is where the web page is, or would be again."""

    containers: Mapping[str, Inspect]
    url: str | None

    def running(self, wanted: Wanted) -> bool:
        return all(role in self.containers and containers.status(self.containers[role]) == "running" for role in wanted.roles)


def look(client: DockerClient, name: str) -> Seen:
    """What there is of the pipeline ``name``. Blocks."""
    wanted = [f"{_NAME}={name}", *labels.filters(project=client.project, env=client.environment)["label"]]
    listed = client.get("/containers/json", all="true", filters={"label": wanted})
    seen = {c["Labels"][_ROLE]: client.optional(f"/containers/{c['Id']}/json") for c in listed}
    found = {role: inspect for role, inspect in seen.items() if inspect is not None}
    web = found.get("webserver")
    port = containers.published(web).get(f"{_PORT}/tcp") if web is not None else None
    return Seen(found, f"http://{client.reach}:{port}" if port else None)


def remove(client: DockerClient, name: str, *, keep: tuple[str, ...] = ()) -> None:
    """Remove its containers (but those of the roles ``keep``), and without any left the image too. Blocks."""
    for role, seen in look(client, name).containers.items():
        if role not in keep:
            _end(client, seen)
    if not keep:
        environment.discard(client, _image_name(name))


async def keep(client: DockerClient, place: Place, wanted: Wanted, base: str, *, within: float | None) -> None:
    """Bring up what should run and take down what should not; what runs with today's definition is left alone."""
    name = place.definition.name
    await client.run(lambda: remove(client, name, keep=wanted.roles))
    if not wanted.roles:
        return
    own = labels.own(client.project, client.environment, place.address, place.definition.fingerprint[:32])
    image = await client.run(environment.build, client, _image_name(name), base, REQUIREMENTS, own)
    files = _library()
    told = _told(client, place)
    content = await client.run(_content, client, place, image, files, told)
    seen = (await client.run(look, client, name)).containers
    stale = [role for role in wanted.roles if not _is_current(seen.get(role), content)]
    if stale:
        await client.run(_write_home, client, place)
        for role in stale:
            if role in seen:
                await client.run(_end, client, seen[role])
        plans = [_plan(client, place, role, image, files, told, {**own, _CONTENT: content}) for role in stale]
        async with asyncio.TaskGroup() as group:
            for plan in plans:
                group.create_task(containers.start(client, plan, within=within or _START))
    await client.run(lambda: environment.discard(client, _image_name(name), image))


def _end(client: DockerClient, seen: Inspect) -> None:
    """Remove a container, and with it the steps that it was running."""
    containers.remove(client, seen["Id"])
    volumes.end_with(client, str(seen["Config"]["Hostname"]))


def _image_name(name: str) -> str:
    return f"{name}-dagster"


def _is_current(seen: Inspect | None, content: str) -> bool:
    return seen is not None and containers.status(seen) == "running" and seen["Config"]["Labels"].get(_CONTENT) == content


def _told(client: DockerClient, place: Place) -> dict[str, Any]:
    config = client.config.model_dump(mode="json")
    settings = {k: config[k] for k in ("images", "limits", "prefix", "pull")}
    settings["publish"] = {"host": client.reach, "bind": client.bind}
    return {
        "project": client.project,
        "environment": client.environment,
        "address": place.address,
        "volume": place.volume,
        "image": place.image,
        "settings": settings,
    }


def _content(client: DockerClient, place: Place, image: str, files: Mapping[str, bytes], told: Mapping[str, Any]) -> str:
    """A digest over everything that the containers were made of; of secrets only what the volume's key tells."""
    whole = hashlib.sha256(to_json(place.definition).encode())
    whole.update(json.dumps([image, told], sort_keys=True).encode())
    for path, content in sorted(files.items()):
        whole.update(path.encode() + hashlib.sha256(content).digest())
    if place.secrets:
        key = secret_key(client, place.volume, "own")
        whole.update(hmac.new(key, json.dumps(dict(place.secrets), sort_keys=True).encode(), hashlib.sha256).digest())
    return whole.hexdigest()[:32]


def _write_home(client: DockerClient, place: Place) -> None:
    """The definition and the code in the volume, and Dagster's settings."""
    helper = volumes.helper(client, place.volume)
    root = f"{MOUNTED}/{place.volume}/dagster"
    digest = place.definition.code
    found = store.check(helper, place.volume, "dagster/code", digest)
    if found is None or found.digest != digest:
        store.keep_files(helper, place.volume, "dagster/code", list(place.code), digest, what="the code")
    for old in store.kept(helper, place.volume, "dagster/code"):
        if old != store.short(digest):
            store.drop(helper, place.volume, "dagster/code", old)
    helper.write(f"{root}/definition.json", to_json(place.definition).encode())
    if helper.read(f"{root}/home/dagster.yaml") is None:
        helper.write(f"{root}/home/dagster.yaml", _SETTINGS.encode())


def _library() -> dict[str, bytes]:
    """Our own code, as far as a step needs it: path in the container → content."""
    import mlinfra
    import mlinfra_docker

    found: dict[str, bytes] = {}
    for package, parts in ((mlinfra, ("model", "kinds", "provider")), (mlinfra_docker, ("",))):
        root = Path(str(package.__file__)).parent
        chosen = [root / "__init__.py", *(file for part in parts for file in (root / part).rglob("*.py"))]
        for file in chosen:
            found[f"{_LIBRARY}/{root.name}/{file.relative_to(root).as_posix()}"] = file.read_bytes()
    return found


def _plan(
    client: DockerClient,
    place: Place,
    role: str,
    image: str,
    files: Mapping[str, bytes],
    told: Mapping[str, Any],
    marks: Mapping[str, str],
) -> Plan:
    name = place.definition.name
    variables = {
        "DAGSTER_HOME": f"{_MOUNT}/{_HOME}",
        "PYTHONPATH": _LIBRARY,
        "PYTHONUNBUFFERED": "1",
        VARIABLE: f"{_MOUNT}/dagster/definition.json",
        TOLD: json.dumps(told),
        **place.secrets,
    }
    web = role == "webserver"
    command = (
        ["dagster_webserver", *_LOCATION, "-h", "0.0.0.0", "-p", str(_PORT)] if web else ["dagster._daemon", "run", *_LOCATION]
    )
    second = 1_000_000_000
    probe = ["CMD", "python", "-c", _ANSWERS if web else _BEATS]
    host: dict[str, Any] = {
        "NetworkMode": client.network,
        "RestartPolicy": {"Name": "unless-stopped"},
        "Mounts": [
            mount(place.volume, _MOUNT),
            {"Type": "bind", "Source": client.socket, "Target": SOCKET},
        ],
    }
    if web:
        host["PortBindings"] = {f"{_PORT}/tcp": [{}]}
    body = {
        "Image": image,
        "Entrypoint": ["python", "-m"],
        "Cmd": command,
        "WorkingDir": _MOUNT,
        "User": "0:0",  # the socket is root's
        "Env": [f"{key}={value}" for key, value in variables.items()],
        "Labels": {**marks, _NAME: name, _ROLE: role},
        "HostConfig": host,
        "Healthcheck": {"Test": probe, "Interval": 5 * second, "Timeout": 20 * second, "Retries": 6, "StartPeriod": 240 * second},
    }
    return Plan(name=f"{name}-{role}", body=body, files=files)
