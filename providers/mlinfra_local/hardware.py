"""What this host has: CPUs, memory and GPUs that this process may use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")
_TOLERANCE = 0.1  # a card sold as 80 GB reports between 79 and 85 GB


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """``memory`` in bytes; ``index`` as CUDA_VISIBLE_DEVICES counts."""

    index: int
    name: str
    memory: int

    def is_a(self, wanted: str) -> bool:
        """Whether people would call it that: ``H100``, ``A100-80GB``."""
        words = set(re.split(r"[\s/_-]+", self.name.lower()))
        return all(part in words or self._has(part) for part in wanted.lower().split("-"))

    def _has(self, size: str) -> bool:
        match = re.fullmatch(r"(\d+)gb?", size)
        return bool(match) and abs(self.memory / 1e9 - int(match[1])) <= _TOLERANCE * int(match[1])  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Host:
    """``cpus`` may be a fraction under a container's limit; ``memory`` in bytes."""

    cpus: float
    memory: int
    gpus: tuple[GpuDevice, ...]


def host() -> Host:
    """Look at this machine, within the limits of its container. Blocks (nvidia-smi takes a second); call it in a thread."""
    import psutil

    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    memory = int(psutil.virtual_memory().total)
    return Host(min(cpus, _cpu_limit() or cpus), min(memory, _memory_limit() or memory), _gpus())


def free_disk(folder: Path) -> int:
    """Bytes free where ``folder`` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _memory_limit() -> int | None:
    try:
        return int(_CGROUP_MEMORY.read_text())
    except (OSError, ValueError):
        return None


def _cpu_limit() -> float | None:
    try:
        quota, period = _CGROUP_CPU.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _gpus() -> tuple[GpuDevice, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        rows = [line.split(", ") for line in text.splitlines() if line.strip()]
        return tuple(GpuDevice(int(index), name, int(mib) * 2**20) for index, name, mib in rows)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
