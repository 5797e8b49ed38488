"""Runs the user's own code on this machine: packed by digest, fingerprinted, guarded, its outputs kept by content."""

from mlinfra_local.execution.process import finish_guarded, start_guarded, stop_guarded
from mlinfra_local.execution.run import (
    RunRequest,
    RunResult,
    StoredOutput,
    clean_up,
    forget,
    logs,
    recall,
    run,
    secret_key,
)
from mlinfra_local.execution.shared import environment, pack, release

__all__ = [
    "RunRequest",
    "RunResult",
    "StoredOutput",
    "clean_up",
    "environment",
    "finish_guarded",
    "forget",
    "logs",
    "pack",
    "recall",
    "release",
    "run",
    "secret_key",
    "start_guarded",
    "stop_guarded",
]
