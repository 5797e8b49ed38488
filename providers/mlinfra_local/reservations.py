"""Who holds how much of this host: one file a cluster, shared by all projects and environments below one data root.

Nobody is fenced in: a reservation keeps two clusters from being promised the same CPUs, memory or GPUs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mlinfra.kinds.training_cluster import parse_memory_range
from mlinfra.kinds.units import format_bytes, parse_accelerators
from mlinfra.model.values import Path as AttributePath
from mlinfra.provider.failures import Quota
from mlinfra_local.client import LocalClient
from mlinfra_local.execution.scratch import locked_now, remove_empty, write_atomically
from mlinfra_local.hardware import GpuDevice, Host

Shown = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a cluster asks for; 0 and empty: nothing. ``accelerators`` as in ``H100:8``, ``gpu_memory`` as in ``24GB..``."""

    cpus: float = 0
    memory: int = 0
    accelerators: str = ""
    gpu_memory: str = ""
    gpu_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """``data`` is the holder's data folder, by name; ``op`` the operation that made it; ``gpus`` are device indexes; ``memory``
    in bytes."""

    name: str
    holder: str
    data: str
    op: str = ""
    cpus: float = 0
    memory: int = 0
    gpus: tuple[int, ...] = ()


def reserve(client: LocalClient, name: str, holder: str, wish: Wish, host: Host, *, op: str) -> Reservation:
    """Reserve, in place of what ``name`` held before. Quota, naming what there is and who holds it, when it does not fit.

    Blocks; call it in a thread."""
    folder = _folder(client)
    with locked_now(folder / ".lock"):
        own = _file(client, name)
        others = [r for f, r in _all(folder).items() if f != own]
        _check("cpus", wish.cpus, host.cpus, [(r.cpus, r) for r in others], lambda n: f"{n:g} CPU{'s' if n != 1 else ''}")
        _check("memory", wish.memory, host.memory, [(r.memory, r) for r in others], lambda n: f"{format_bytes(int(n))} of memory")
        made = Reservation(
            name=name,
            holder=holder,
            data=client.data.name,
            op=op,
            cpus=wish.cpus,
            memory=wish.memory,
            gpus=tuple(g.index for g in _choose(wish, host, others)),
        )
        write_atomically(own, json.dumps(asdict(made)))
    return made


def held(client: LocalClient, name: str) -> Reservation | None:
    """What the cluster holds; None when nothing is reserved for it."""
    return _load(_file(client, name))


def release(client: LocalClient, name: str) -> None:
    """Give back what the cluster holds. Nothing held is success."""
    folder = _folder(client)
    if not folder.exists():
        return
    with locked_now(folder / ".lock"):
        _file(client, name).unlink(missing_ok=True)
        if not _all(folder):
            (folder / ".lock").unlink(missing_ok=True)
            remove_empty(folder)


def _folder(client: LocalClient) -> Path:
    return client.data.resolve().parent / "reservations"


def _file(client: LocalClient, name: str) -> Path:
    key = hashlib.sha256(f"{client.data.name}\n{name}".encode()).hexdigest()[:16]
    return _folder(client) / f"{key}.json"


def _all(folder: Path) -> dict[Path, Reservation]:
    """Those whose data folder is still there: who deletes that by hand gives everything back."""
    found = {file: _load(file) for file in folder.glob("*.json")}
    return {f: r for f, r in found.items() if r is not None and (folder.parent / r.data).is_dir()}


def _load(file: Path) -> Reservation | None:
    try:
        found = json.loads(file.read_text())
        return Reservation(**{**found, "gpus": tuple(found["gpus"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _check(what: str, asked: float, there: float, others: Sequence[tuple[float, Reservation]], shown: Shown) -> None:
    if asked > there:
        raise Quota(f"{shown(asked)} were asked for, and this host has {shown(there)}", path=("resources", what), hint=_LESS)
    taken = sum(amount for amount, _ in others)
    if asked and asked > there - taken:
        holders = ", ".join(f"{r.holder} holds {shown(amount)}" for amount, r in others if amount)
        raise Quota(f"{shown(asked)} were asked for, and of {shown(there)} only {shown(there - taken)} are free: {holders}",
                    path=("resources", what), hint="destroy the other cluster, or ask for less")  # fmt: skip


def _choose(wish: Wish, host: Host, others: list[Reservation]) -> list[GpuDevice]:
    if wish.accelerators:
        wanted = parse_accelerators(wish.accelerators)
        path: AttributePath = ("resources", "accelerators")
        count, label = wanted.count, wanted.name
        fitting = [g for g in host.gpus if g.is_a(wanted.name)]
    elif wish.gpu_count:
        least, most = parse_memory_range(wish.gpu_memory) if wish.gpu_memory else (0, None)
        path = ("resources", "gpu")
        count, label = wish.gpu_count, f"GPU of {wish.gpu_memory}" if wish.gpu_memory else "GPU"
        fitting = [g for g in host.gpus if g.memory >= least * 0.95 and (most is None or g.memory <= most * 1.1)]
    else:
        return []
    if count > len(fitting):
        has = ", ".join(f"{g.name} ({format_bytes(g.memory)})" for g in host.gpus) or "no GPU"
        raise Quota(f"{count} × {label} were asked for, and this host has {has}", path=path, hint=_LESS)
    taken = {index: r.holder for r in others for index in r.gpus}
    free = [g for g in fitting if g.index not in taken]
    if count > len(free):
        holders = ", ".join(f"{taken[g.index]} holds GPU {g.index}" for g in fitting if g.index in taken)
        raise Quota(f"{count} × {label} were asked for, and only {len(free)} are free: {holders}", path=path,
                    hint="destroy the other cluster, or ask for less")  # fmt: skip
    return free[:count]


_LESS = "ask for less, or use a target that has it"
