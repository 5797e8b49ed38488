"""A run of the user's code is a function of its fingerprint: done once, remembered, and found again for ever after.

Below ``runs/NAME``: ``outputs/DIGEST/`` (content-addressed), ``by-fingerprint/FP.json`` (what a run gave), ``logs/FP.txt``,
``tmp/`` (of runs under way; a crash's leftovers go with the next run).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlinfra.model.values import Map, Secret, freeze
from mlinfra.provider.failures import Failure, Invalid, Timeout
from mlinfra.provider.progress import say
from mlinfra.provider.runs.results import LAST_LINES, hider, nothing_written, parse_metrics, quoted
from mlinfra.provider.runs.words import argv, variable
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import shared, store
from mlinfra_local.execution.process import finish_guarded, start_guarded
from mlinfra_local.execution.scratch import clean, locked, remove_empty, scratch, write_atomically
from mlinfra_local.follow import follow_log

_WANTED = ("MLINFRA_SERVICE",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run.

    ``name``          its folder below ``runs``; may hold ``/`` (``features/clean``)
    ``user``          the resource on whose account packs and environments are kept; default: ``name``
    ``fingerprint``   see :mod:`mlinfra.provider.runs.fingerprints`
    ``workdir``       the code pack; the command runs in a copy of it, which is thrown away
    ``command``       as in a shell; ``arguments`` are added to it, quoted
    ``inputs``        name → ``local://`` or ``file://`` URI, path relative to the spec, or another URI that is passed on as it is
    ``outputs``       names; the command must write into every one's folder
    ``environment``   variables; secrets are revealed to the process alone
    ``processes``     how many run side by side, torchrun-style: MLINFRA_RANK, MLINFRA_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
    ``timeout``       seconds; None: for ever
    ``requirements``  for an environment of its own; empty: this Python's
    ``launcher``      what the command is handed to (a Ray submission); empty: it is started itself
    ``accept``        sees the outputs' folders and the metrics before anything is kept: a Failure refuses the run; what it
                      returns is added to the metrics
    ``again``         run even when the fingerprint ran before (schedules); what comes of it is remembered in its place
    """

    name: str
    fingerprint: str
    workdir: Path
    command: str
    user: str = ""
    arguments: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    processes: int = 1
    timeout: float | None = None
    requirements: tuple[str, ...] = ()
    launcher: tuple[str, ...] = ()
    accept: Callable[[Mapping[str, Path], Mapping[str, Any]], Mapping[str, Any]] | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """``uri`` is ``local://runs/NAME/outputs/DIGEST``; ``digest`` the whole ``sha256:…``; ``size`` in bytes."""

    uri: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """``metrics`` are those of every ``metrics.json`` in an output; ``reused``: an earlier run of the fingerprint gave it."""

    outputs: Mapping[str, StoredOutput]
    metrics: Map
    exit_code: int = 0
    reused: bool = False


def secret_key(client: LocalClient, name: str) -> bytes:
    """The random key of this run's secrets: made once, kept in its folder, gone with it."""
    file = client.folder("runs", name) / "key"
    try:
        return file.read_bytes()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".key.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(secrets.token_bytes(32))
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        return file.read_bytes()


async def run(client: LocalClient, request: RunRequest) -> RunResult:
    """Run it, unless its fingerprint ran before and its outputs are intact. Cancelling kills the command.

    Raises Invalid (with the last lines of the log) when the command fails, writes nothing to an output, or is refused by
    ``accept``; Timeout when it takes too long. Nothing is remembered of such a run but its log."""
    try:
        return await _run(client, request)
    except OSError as error:
        raise Failure(f"`{request.command}` cannot be run: {error}") from error


async def _run(client: LocalClient, request: RunRequest) -> RunResult:
    folder = client.folder("runs", request.name)
    async with locked(folder / "locks" / request.fingerprint[:32]) as lock:
        found = None if request.again else await asyncio.to_thread(recall, client, request.name, request.fingerprint)
        if found is not None:
            return found
        with scratch(folder) as temporary:
            outputs = {name: temporary.folder / "outputs" / name for name in request.outputs}
            await _execute(client, request, temporary.folder, outputs, (temporary.lock, lock))
            return await asyncio.to_thread(_keep, client, request, outputs)


def recall(client: LocalClient, name: str, fingerprint: str) -> RunResult | None:
    """What an earlier run of this fingerprint gave, if all of it is still there and untouched. Reads no bytes of outputs that
    look untouched."""
    folder = client.folder("runs", name)
    try:
        found = json.loads(_record(folder, fingerprint).read_text())
        kept = {n: store.Stored(o["digest"], o["size"], o["files"]) for n, o in found["outputs"].items()}
        metrics = freeze(found["metrics"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if any(store.check(folder / "outputs", s.digest) != s for s in kept.values()):
        return None
    return RunResult(outputs={n: _output(client, folder, s) for n, s in kept.items()}, metrics=metrics, reused=True)


def forget(client: LocalClient, name: str) -> None:
    """Remove everything of the run: outputs, results, logs, and the packs and environments that only it used."""
    folder = client.folder("runs", name)
    shared.release(client, name)
    client.discard(folder)  # last: as long as it is there, a deletion that was cut off is known to be unfinished
    for parent in folder.parents:
        if parent == client.data.resolve():
            break
        remove_empty(parent)


def clean_up(client: LocalClient, name: str) -> None:
    """Remove what runs that were killed have left."""
    clean(client.folder("runs", name))


async def logs(client: LocalClient, name: str, *, follow: bool) -> AsyncIterator[str]:
    """The lines of the run's latest log; with ``follow``, those to come too, until cancelled."""
    folder = client.folder("runs", name) / "logs"
    found = sorted(folder.glob("*.txt"), key=lambda p: p.stat().st_mtime) if folder.is_dir() else []
    if found:
        async for line in follow_log(found[-1], follow):
            yield line


async def _execute(
    client: LocalClient, request: RunRequest, folder: Path, outputs: Mapping[str, Path], locks: tuple[int, ...]
) -> None:
    for output in outputs.values():
        output.mkdir(parents=True)
    work = folder / "work"
    await asyncio.to_thread(shutil.copytree, request.workdir, work)
    programs = Path(sys.executable).parent
    if request.requirements:
        programs = await shared.environment(client, request.requirements, request.user or request.name)
    environment = _environment(client, request, programs, outputs)
    command = [*request.launcher, *argv(request.command, request.arguments)]
    log = client.folder("runs", request.name) / "logs" / f"{request.fingerprint[: store.SHORT]}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    last: deque[str] = deque(maxlen=LAST_LINES)
    hide = hider(request.environment)

    with log.open("w", buffering=1) as handle:

        def line(text: str) -> None:
            shown = hide(text)
            handle.write(shown + "\n")
            last.append(shown)
            say(shown)

        try:
            async with asyncio.timeout(request.timeout):
                code = await _ranks(request, command, work, environment, locks, line)
        except TimeoutError:
            raise Timeout(f"`{request.command}` was stopped after {request.timeout:g} seconds{quoted(last)}") from None
    if code:
        how = f"was killed by signal {code - 128}" if code > 128 else f"failed with exit code {code}"
        raise Invalid(f"`{request.command}` {how}{quoted(last)}", hint=f"its log is in {log}")


async def _ranks(
    request: RunRequest,
    command: list[str],
    work: Path,
    environment: Mapping[str, str],
    locks: tuple[int, ...],
    line: Callable[[str], None],
) -> int:
    """Run all processes; the first that fails takes the others down and gives the exit code."""
    count = request.processes
    common = {"MLINFRA_WORLD_SIZE": str(count), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
    if count > 1:
        from mlinfra_local.services import free_port

        common["MASTER_PORT"] = str(free_port())

    failed: list[int] = []

    async def one(rank: int) -> None:
        own = {"MLINFRA_RANK": str(rank), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = await start_guarded(command, folder=work, environment={**environment, **common, **own}, locks=locks)
        code = await finish_guarded(process, line if count == 1 else lambda text: line(f"[{rank}] {text}"))
        if code:
            failed.append(code)
            raise _RankFailed

    try:
        async with asyncio.TaskGroup() as group:
            for rank in range(count):
                group.create_task(one(rank))
    except* _RankFailed:
        pass
    except* OSError as errors:
        raise Invalid(f"the command cannot be started: {errors.exceptions[0]}") from None
    return failed[0] if failed else 0


class _RankFailed(Exception):
    """Makes the task group take the other ranks down."""


def _environment(client: LocalClient, request: RunRequest, programs: Path, outputs: Mapping[str, Path]) -> dict[str, str]:
    """The user's own environment without our variables (they may hold secrets), then what SPEC promises."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLINFRA_") or k in _WANTED}
    environment["PATH"] = os.pathsep.join([str(programs), environment.get("PATH", os.defpath)])
    environment["PYTHONUNBUFFERED"] = "1"
    if request.requirements:
        environment.pop("PYTHONPATH", None)
        environment["VIRTUAL_ENV"] = str(programs.parent)
    for name, value in request.inputs.items():
        foreign = "://" in value and not value.startswith(("local://", "file://"))
        path = None if foreign else client.path_of(value)
        if path is not None and not path.exists():
            raise Invalid(f"the input {name} is gone: there is no {value}")
        environment[variable("INPUT", name)] = str(path or value)
    for name, folder in outputs.items():
        environment[variable("OUTPUT", name)] = str(folder)
    for name, given in request.environment.items():
        environment[name] = str(given.reveal()) if isinstance(given, Secret) else given
    return environment


def _keep(client: LocalClient, request: RunRequest, outputs: Mapping[str, Path]) -> RunResult:
    folder = client.folder("runs", request.name)
    metrics: dict[str, Any] = {}
    for name, output in outputs.items():
        if not any(output.iterdir()):
            raise nothing_written(request.command, name)
        metrics.update(_metrics(output / "metrics.json", name))
    if request.accept is not None:
        metrics.update(request.accept(outputs, dict(metrics)))
    kept: dict[str, store.Stored] = {}
    for name, output in outputs.items():
        try:
            kept[name] = store.keep(folder / "outputs", output)
        except OSError as error:
            raise Failure(f"the output {name} cannot be kept: {error}") from error
    record = {"outputs": {n: {"digest": s.digest, "size": s.size, "files": s.files} for n, s in kept.items()}, "metrics": metrics}
    write_atomically(_record(folder, request.fingerprint), json.dumps({**record, "time": time.time()}))
    return RunResult(outputs={n: _output(client, folder, s) for n, s in kept.items()}, metrics=freeze(metrics))


def _metrics(file: Path, output: str) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        return parse_metrics(file.read_text(), output)
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"metrics.json in the output {output} cannot be read: {error}") from error


def _output(client: LocalClient, folder: Path, kept: store.Stored) -> StoredOutput:
    return StoredOutput(client.uri_of(folder / "outputs" / store.short(kept.digest)), kept.digest, kept.size)


def _record(folder: Path, fingerprint: str) -> Path:
    return folder / "by-fingerprint" / f"{fingerprint[:32]}.json"
