"""A run of the user's code is a function of its fingerprint: done once, remembered in its volume, and found again for ever after.

Below the run's folder in the volume: ``outputs/DIGEST/`` (content-addressed), ``by-fingerprint/FP.json`` (what a run gave),
``logs/FP.txt``, ``key`` (of its secrets' fingerprints). ``tmp/`` at the volume's root holds what runs under way write.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlinfra.model.values import EMPTY, Map, Secret, freeze
from mlinfra.provider.failures import Failure, Invalid, NotFound, Quota, Timeout
from mlinfra.provider.files import SelectedFile
from mlinfra.provider.progress import say
from mlinfra.provider.runs.results import hider, nothing_written, parse_metrics, quoted
from mlinfra.provider.runs.words import argv
from mlinfra_docker import containers, labels, volumes
from mlinfra_docker import volume_store as store
from mlinfra_docker.client import DockerClient
from mlinfra_docker.runs import held
from mlinfra_docker.runs.body import Limits, body_of, code_archive, input_archives
from mlinfra_docker.runs.promises import unkept
from mlinfra_docker.volumes import MOUNTED, Helper

RUN_LABEL = "mlinfra:run"
"""On a run's containers: ``VOLUME/FOLDER``, by which its log is followed; its value's token names its folder below ``tmp``."""
_TOKEN_LABEL = "mlinfra:run-token"
_MOST_LOG = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run.

    ``volume``       where its outputs are kept, ``folder`` the path inside it
    ``fingerprint``  see :mod:`mlinfra.provider.runs.fingerprints`
    ``code``         the files that the command runs among; it gets a copy, which is thrown away
    ``inputs``       name → ``docker://`` URI, a local path (relative to the spec), or another URI that is passed on as it is
    ``processes``    how many containers run side by side: MLINFRA_RANK, MLINFRA_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
    ``expect``       what must hold before anything is kept
    ``again``        run even when the fingerprint ran before
    """

    address: str
    volume: str
    folder: str
    fingerprint: str
    image: str
    command: str
    code: Sequence[SelectedFile]
    arguments: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    processes: int = 1
    timeout: float | None = None
    expect: Map = EMPTY
    again: bool = False


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """``uri`` is ``docker://VOLUME/FOLDER/outputs/DIGEST``; ``digest`` the whole ``sha256:…``; ``size`` in bytes."""

    uri: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """``metrics`` are those of every ``metrics.json`` in an output; ``reused``: an earlier run of the fingerprint gave it."""

    outputs: Mapping[str, StoredOutput]
    metrics: Map
    reused: bool = False


async def run(client: DockerClient, request: RunRequest) -> RunResult:
    """Give what the fingerprint gave before, or run it. Invalid when it fails or breaks a promise, Quota when it needs more
    memory than its limit, Timeout; with the last lines of its output. Nothing of a failed run is kept."""
    if not request.again:
        found = await client.run(recall, client, request.volume, request.folder, request.fingerprint)
        if found is not None:
            return found
    token = secrets.token_hex(6)
    scratch = f"{MOUNTED}/{request.volume}/tmp/{token}"
    helper = await client.run(volumes.helper, client, request.volume)
    await client.run(_prepare, client, helper, request, scratch)
    try:
        await _execute(client, request, token)
        return await client.run(keep, client, helper, request, scratch)
    finally:
        await asyncio.shield(client.run(_discard, helper, scratch))


def recall(client: DockerClient, volume: str, folder: str, fingerprint: str) -> RunResult | None:
    """What an earlier run of this fingerprint gave, if all of it is still there and untouched. Reads no bytes of outputs that
    look untouched. Blocks."""
    try:
        helper = volumes.helper(client, volume)
        found = json.loads(helper.read(_record(volume, folder, fingerprint)) or b"")
        kept = {n: store.Stored(o["digest"], o["size"], o["files"]) for n, o in found["outputs"].items()}
        metrics = freeze(found["metrics"])
    except (NotFound, ValueError, KeyError, TypeError):
        return None
    if any(store.check(helper, volume, f"{folder}/outputs", s.digest) != s for s in kept.values()):
        return None
    return RunResult(outputs={n: _output(volume, folder, s) for n, s in kept.items()}, metrics=metrics, reused=True)


def secret_key(client: DockerClient, volume: str, folder: str) -> bytes:
    """The random key of this run's secrets: made once, kept in its folder, gone with it. Blocks."""
    helper = volumes.helper(client, volume)
    file = f"{MOUNTED}/{volume}/{folder}/key"
    found = helper.read(file)
    if found is None:
        found = secrets.token_bytes(32)
        helper.write(file, found)
    return found


async def logs(client: DockerClient, volume: str, folder: str, *, follow: bool) -> AsyncIterator[str]:
    """The lines of the run under way, or of the latest one that ended; with ``follow`` until it ends."""
    listed = await client.run(lambda: client.get("/containers/json", filters={"label": [f"{RUN_LABEL}={volume}/{folder}"]}))
    if listed:
        async for line in containers.log_lines(client, listed[0]["Id"], follow=follow):
            yield line
        return
    for line in await client.run(_latest_log, client, volume, folder):
        yield line


def _latest_log(client: DockerClient, volume: str, folder: str) -> list[str]:
    try:
        helper = volumes.helper(client, volume)
    except NotFound:
        return []
    script = 'cd "$1/logs" 2>/dev/null || exit 0; f=$(ls -t | head -n 1); [ -z "$f" ] || cat "$f"'
    return helper.run(script, f"{MOUNTED}/{volume}/{folder}").splitlines()


def _prepare(client: DockerClient, helper: Helper, request: RunRequest, scratch: str) -> None:
    """Make the folders that it writes to; remove those of runs that are no more."""
    running = client.get("/containers/json", all="true", filters={"label": [_TOKEN_LABEL]})
    alive = [c["Labels"][_TOKEN_LABEL] for c in running]
    clean = 'cd "$1" 2>/dev/null || exit 0; shift; for d in *; do case " $* " in *" $d "*) ;; *) rm -rf "$d";; esac; done'
    helper.run(clean, f"{MOUNTED}/{request.volume}/tmp", *alive)
    make = 'mkdir -p "$1"; for o in "$@"; do mkdir -p "$o"; chmod 777 "$o"; done'
    helper.run(make, scratch, *(f"{scratch}/{name}" for name in request.outputs))


def _discard(helper: Helper, scratch: str) -> None:
    try:
        helper.run('rm -rf "$1"; rmdir "${1%/*}" 2>/dev/null || true', scratch)
    except Failure:
        return  # the engine is gone: what is left goes with the next run


async def _execute(client: DockerClient, request: RunRequest, token: str) -> None:
    command = argv(request.command, request.arguments)
    hide = hider(request.environment)
    said: list[str] = []

    def line(text: str) -> None:
        shown = hide(text)
        if len(said) < _MOST_LOG:
            said.append(shown)
        say(shown)

    try:
        ended = await _ranks(client, request, command, token, line)
    except TimeoutError:
        await write_log(client, request, said)
        raise Timeout(f"`{request.command}` was stopped after {request.timeout:g} seconds{quoted(said[-20:])}") from None
    await write_log(client, request, said)
    tail = quoted(map(hide, ended.tail))
    if ended.out_of_memory:
        limit = f" of {request.limits.memory / 1e6:,.0f} MB" if request.limits.memory else ""
        raise Quota(
            f"`{request.command}` was killed: it needs more memory than its limit{limit}{tail}",
            hint="raise its memory: `resources` of its training_cluster, or `limits` in the docker settings",
        )
    if ended.code == 127 and "not found" in "".join(ended.tail):
        raise Invalid(f"`{request.command}` cannot be started in {request.image}{tail}", hint="is the program in that image?")
    if ended.code:
        how = f"was killed by signal {ended.code - 128}" if ended.code > 128 else f"failed with exit code {ended.code}"
        raise Invalid(f"`{request.command}` {how}{tail}", hint="mlinfra logs shows all that it wrote")


async def _ranks(
    client: DockerClient, request: RunRequest, command: list[str], token: str, line: Callable[[str], None]
) -> held.Ended:
    """Run all containers; the first that fails takes the others down and tells how it ended."""
    count = request.processes
    names = [f"{request.volume}-{token}" + (f"-{rank}" if count > 1 else "") for rank in range(count)]
    given = await client.run(input_archives, client, request.inputs)
    code = await client.run(code_archive, request.code)
    failed: list[held.Ended] = []
    marks = {
        **labels.own(client.project, client.environment, request.address, token),
        RUN_LABEL: f"{request.volume}/{request.folder}",
        _TOKEN_LABEL: token,
    }

    async def one(rank: int) -> held.Ended:
        ranked = {"MLINFRA_RANK": str(rank), "RANK": str(rank), "LOCAL_RANK": "0", "MLINFRA_WORLD_SIZE": str(count),
                  "WORLD_SIZE": str(count), "MASTER_ADDR": names[0], "MASTER_PORT": "29500"}  # fmt: skip
        body = await client.run(body_of, client, request, command, ranked, f"tmp/{token}", marks)
        told = line if count == 1 else lambda text: line(f"[{rank}] {text}")
        ended = await held.run(client, names[rank], body, [*given, code], within=request.timeout, on_line=told)
        if ended.code or ended.out_of_memory:
            failed.append(ended)
            raise _RankFailed
        return ended

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(rank)) for rank in range(count)]
    except* _RankFailed:
        pass
    except* TimeoutError:
        raise TimeoutError from None
    except* Failure as failures:
        raise _first(failures) from None
    return failed[0] if failed else tasks[0].result()


def _first(failures: BaseExceptionGroup[Failure]) -> Failure:
    found = failures.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


class _RankFailed(Exception):
    """Makes the task group take the other ranks down."""


def keep(client: DockerClient, helper: Helper, request: RunRequest, scratch: str) -> RunResult:
    """Hold what lies below ``scratch`` (a folder an output) against what was promised, then move it to its place by content. Blocks."""
    metrics: dict[str, Any] = {}
    for name in request.outputs:
        if not helper.run('ls -A "$1" | head -n 1', f"{scratch}/{name}").strip():
            raise nothing_written(request.command, name)
        found = helper.read(f"{scratch}/{name}/metrics.json")
        if found is not None:
            metrics.update(parse_metrics(found.decode(errors="replace"), name))
    token = scratch.rpartition("/")[2]
    written = [volumes.uri(request.volume, f"tmp/{token}/{name}") for name in request.outputs]
    problems = unkept(client, request.expect, metrics, written)
    if problems:
        raise Invalid("; ".join(problems), path=("expect",), hint="nothing of this run is kept")
    parent = f"{request.folder}/outputs"
    kept = {name: store.keep_folder(helper, request.volume, parent, f"{scratch}/{name}") for name in request.outputs}
    record = {
        "outputs": {n: {"digest": s.digest, "size": s.size, "files": s.files} for n, s in kept.items()},
        "metrics": metrics,
        "time": time.time(),
    }
    helper.write(_record(request.volume, request.folder, request.fingerprint), json.dumps(record).encode())
    outputs = {n: _output(request.volume, request.folder, s) for n, s in kept.items()}
    return RunResult(outputs=outputs, metrics=freeze(metrics))


async def write_log(client: DockerClient, request: RunRequest, said: list[str]) -> None:
    """Keep what the run wrote, for :func:`logs`."""
    helper = await client.run(volumes.helper, client, request.volume)
    file = f"{MOUNTED}/{request.volume}/{request.folder}/logs/{request.fingerprint[:12]}.txt"
    await client.run(helper.write, file, "".join(f"{text}\n" for text in said).encode())


def _record(volume: str, folder: str, fingerprint: str) -> str:
    return f"{MOUNTED}/{volume}/{folder}/by-fingerprint/{fingerprint[:32]}.json"


def _output(volume: str, folder: str, kept: store.Stored) -> StoredOutput:
    return StoredOutput(volumes.uri(volume, f"{folder}/outputs/{store.short(kept.digest)}"), kept.digest, kept.size)
