"""A run as a job of a Ray cluster: its code, inputs and outputs lie in the volume that all nodes see.

The job's entry point is a small program of ours beside the code. It takes command and environment from a file that it deletes at
once (Ray writes down what a job was submitted with, and secrets must not be among it), copies all output into a file, and takes the
command down when nobody has asked for that output for a while: then we are gone.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Secret
from mlinfra.provider.failures import Failure, Invalid, NotFound, Timeout
from mlinfra.provider.limiter import waiting
from mlinfra.provider.progress import say
from mlinfra.provider.runs import ray_api
from mlinfra.provider.runs.results import hider, quoted
from mlinfra.provider.runs.words import argv, variable
from mlinfra_docker import containers, volumes
from mlinfra_docker.client import DockerClient
from mlinfra_docker.inside import translator
from mlinfra_docker.runs.body import code_files
from mlinfra_docker.runs.ray_shared import SHARED, shared_volume
from mlinfra_docker.runs.run import RunRequest, RunResult, keep, write_log
from mlinfra_docker.volumes import MOUNTED, Helper

_POLL = 0.5
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_LAUNCHER = """\
import json, os, signal, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "told.json")) as file:
    told = json.load(file)
os.unlink(os.path.join(HERE, "told.json"))
child = subprocess.Popen(
    told["command"], cwd=os.path.join(HERE, "code"), env={**os.environ, **told["environment"]},
    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
)


def watch():
    while child.poll() is None:
        if time.time() - os.stat(os.path.join(HERE, "alive")).st_mtime > 120:
            os.killpg(child.pid, signal.SIGKILL)
        time.sleep(2)


threading.Thread(target=watch, daemon=True).start()
with open(os.path.join(HERE, "log.txt"), "ab", buffering=0) as log:
    while chunk := os.read(child.stdout.fileno(), 65536):
        log.write(chunk)
        if not told["quiet"]:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
code = child.wait()
with open(os.path.join(HERE, "code.txt"), "w") as file:
    file.write(str(code if code >= 0 else 128 - code))
sys.exit(code if code >= 0 else 128 - code)
"""


async def run(client: DockerClient, request: RunRequest, cluster: str) -> RunResult:
    """As :func:`mlinfra_docker.runs.run.run` does it in a container. NotFound when the cluster is not there."""
    dashboard = await client.run(_dashboard, client, cluster)
    token = secrets.token_hex(6)
    shared = shared_volume(cluster)
    place = f"{MOUNTED}/{shared}/{token}"
    inside = [volumes.place(uri)[0] for uri in request.inputs.values() if uri.startswith(f"{volumes.SCHEME}://")]
    helper = await client.run(lambda: volumes.helper(client, request.volume, shared, *inside))
    submission = f"mlinfra-{request.fingerprint[:12]}-{token}"
    ended = False
    try:
        await client.run(_prepare, client, helper, request, place, token)
        await client.run(ray_api.submit, dashboard, f"python {shlex.quote(f'{SHARED}/{token}/launch.py')}", submission)
        async with waiting(), asyncio.timeout(request.timeout):
            await _follow(client, helper, request, dashboard, submission, place)
        ended = True
        return await client.run(_keep, client, helper, request, place, token)
    except TimeoutError:
        raise Timeout(f"`{request.command}` was stopped after {request.timeout:g} seconds") from None
    finally:
        await asyncio.shield(client.run(_clean, helper, dashboard, submission, place, ended))


def _dashboard(client: DockerClient, cluster: str) -> str:
    seen = client.optional(f"/containers/{cluster}-head/json")
    port = containers.published(seen).get(f"{ray_api.DASHBOARD}/tcp") if seen is not None else None
    if port is None:
        raise NotFound(f"there is no Ray cluster {cluster} on this engine", path=("ray",), hint="apply it first")
    return f"http://{client.reach}:{port}"


def _prepare(client: DockerClient, helper: Helper, request: RunRequest, place: str, token: str) -> None:
    root = place.rpartition("/")[0]
    helper.run('find "$1" -maxdepth 2 -name alive -mmin +10 -exec dirname {} \\; | while read -r d; do rm -rf "$d"; done', root)
    make = 'mkdir -p "$1/code" "$1/inputs" "$1/outputs"; touch "$1/alive"; p=$1; shift; for o in "$@"; do mkdir -p "$p/outputs/$o"; done'
    helper.run(make, place, *request.outputs)
    helper.put(f"{place}/code", code_files(request.code))
    environment: dict[str, str] = {"PYTHONUNBUFFERED": "1", "MLINFRA_RANK": "0", "MLINFRA_WORLD_SIZE": "1"}
    translate = translator(client)
    for name, value in request.inputs.items():
        environment[variable("INPUT", name)] = _input(client, helper, name, value, place, token) or translate(value)
    for name in request.outputs:
        environment[variable("OUTPUT", name)] = f"{SHARED}/{token}/outputs/{name}"
    for name, given in request.environment.items():
        environment[name] = translate(str(given.reveal()) if isinstance(given, Secret) else given)
    told: Mapping[str, Any] = {
        "command": [translate(word) for word in argv(request.command, request.arguments)],
        "environment": environment,
        "quiet": any(isinstance(v, Secret) for v in request.environment.values()),
    }
    helper.write(f"{place}/launch.py", _LAUNCHER.encode())
    helper.write(f"{place}/told.json", json.dumps(told).encode())


def _input(client: DockerClient, helper: Helper, name: str, value: str, place: str, token: str) -> str:
    """Copy the input to where all nodes see it; empty for a URI that is passed on as it is."""
    if value.startswith(f"{volumes.SCHEME}://"):
        volume, path = volumes.place(value)
        last = path.rpartition("/")[2] or volume
        script = '[ -e "$1" ] || exit 3; mkdir -p "$2"; cp -a "$1" "$2/$3"'
        try:
            helper.run(script, f"{MOUNTED}/{volume}/{path}", f"{place}/inputs/{name}", last)
        except Failure as failure:
            raise Invalid(f"the input {name} is gone: there is no {value}") from failure
    elif "://" in value:
        return ""
    else:
        from mlinfra.provider import files

        last = value.rstrip("/").rpartition("/")[2]
        single = (client.base / value).is_file()
        chosen = files.select(client.base, value)
        helper.put(f"{place}/inputs/{name}", [(last if single else f"{last}/{f.name}", f.path) for f in chosen])
    return f"{SHARED}/{token}/inputs/{name}/{last}"


async def _follow(client: DockerClient, helper: Helper, request: RunRequest, dashboard: str, submission: str, place: str) -> None:
    """Show its output until it ends. Invalid when it fails."""
    hide, said, seen, rest = hider(request.environment), [], 0, ""
    while True:
        state, message = await client.run(ray_api.status, dashboard, submission)
        script = 'touch "$1/alive"; [ ! -f "$1/log.txt" ] || tail -c "+$2" "$1/log.txt"'
        chunk = await client.run(helper.run, script, place, str(seen + 1))
        seen += len(chunk.encode("utf-8", "surrogateescape"))
        *lines, rest = (rest + chunk).split("\n")
        for line in lines if state not in _ENDED else [*lines, rest]:
            if line:
                said.append(hide(line))
                say(said[-1])
        if state in _ENDED:
            break
        await asyncio.sleep(_POLL)
    await write_log(client, request, said)
    if state != "SUCCEEDED":
        code = (await client.run(helper.read, f"{place}/code.txt") or b"").decode()
        how = (
            f"failed with exit code {code}"
            if code
            else f"was ended by Ray: {hide(message.strip().splitlines()[0]) if message else state}"
        )
        raise Invalid(f"`{request.command}` {how}{quoted(said[-20:])}", hint="mlinfra logs shows all that it wrote")


def _keep(client: DockerClient, helper: Helper, request: RunRequest, place: str, token: str) -> RunResult:
    scratch = f"{MOUNTED}/{request.volume}/tmp/{token}"
    try:
        helper.run('mkdir -p "$2"; cp -a "$1/outputs/." "$2/"', place, scratch)
        return keep(client, helper, request, scratch)
    finally:
        helper.run('rm -rf "$1"; rmdir "${1%/*}" 2>/dev/null || true', scratch)


def _clean(helper: Helper, dashboard: str, submission: str, place: str, ended: bool) -> None:
    try:
        if not ended:
            ray_api.stop(dashboard, submission)
        helper.run('rm -rf "$1"', place)
    except Failure:
        return  # the cluster is gone, or the job never began; the next job tidies up
