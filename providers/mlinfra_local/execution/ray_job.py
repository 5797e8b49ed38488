"""Runs a command as a Ray job: ``python ray_job.py ADDRESS COMMAND…`` submits it, shows its output, ends with its exit code.

The job itself is the guard, which takes folder and environment over a socket in the working folder and sends all output back
by it: Ray writes down what a job was submitted with and what it prints, and secrets must not be among it. When this process
dies the socket closes, and the guard takes the command down. Needs ``ray[default]``.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import threading
import time
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")
_GRACE = "5"
_POLL = 0.2


def main(address: str, command: list[str]) -> int:
    """Submit and wait; 1 when Ray itself fails the job (the reason is written out)."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    folder = Path.cwd()
    place = folder / f"ray-{os.getpid()}.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place.name)
    place.chmod(0o600)
    listener.listen(1)
    talk = threading.Thread(target=_talk, args=(listener, folder, command), daemon=True)
    talk.start()
    client = JobSubmissionClient(address)
    job = client.submit_job(entrypoint=shlex.join([sys.executable, "-I", "-S", str(_GUARD), "--connect", str(place)]))
    while not (found := client.get_job_info(job)).status.is_terminal():
        time.sleep(_POLL)
    listener.shutdown(socket.SHUT_RDWR)  # a guard that never came is not waited for
    talk.join()
    if found.status == JobStatus.SUCCEEDED or found.driver_exit_code:
        return int(found.driver_exit_code or 0)
    _write(f"{found.status}: {found.message}\n".encode())
    return 1


def _talk(listener: socket.socket, folder: Path, command: list[str]) -> None:
    """Tell the guard what to run, then show what it sends, until it ends."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    told = {"folder": str(folder), "environment": dict(os.environ), "arguments": [_GRACE, *command]}
    connection.sendall((json.dumps(told) + "\n").encode())
    while chunk := connection.recv(65536):
        _write(chunk)


def _write(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    os._exit(main(sys.argv[1], sys.argv[2:]))
