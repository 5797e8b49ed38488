"""Runs a command as a Ray job: ``python ray_job.py ADDRESS COMMAND…`` submits it, shows its log, ends with its exit code.

The job itself is the guard, which takes folder and environment over a socket in the working folder: Ray shows and logs what
a job was submitted with, and secrets must not be among it. When this process dies the socket closes, and the guard takes the
command down. Needs ``ray[default]``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import socket
import sys
import threading
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
GRACE = "5"


async def main(address: str, command: list[str]) -> int:
    """Submit and follow; 1 when Ray itself fails the job (the reason is written out)."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    folder = Path.cwd()
    place = folder / f"ray-{os.getpid()}.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place.name)
    place.chmod(0o600)
    listener.listen(1)
    threading.Thread(target=_tell, args=(listener, folder, command), daemon=True).start()
    client = JobSubmissionClient(address)
    entry = shlex.join([sys.executable, "-I", "-S", str(GUARD), "--connect", str(place)])
    job = client.submit_job(entrypoint=entry)
    async for lines in client.tail_job_logs(job):
        sys.stdout.write(lines)
        sys.stdout.flush()
    found = client.get_job_info(job)
    if found.status == JobStatus.SUCCEEDED:
        return 0
    if not found.driver_exit_code:
        sys.stdout.write(f"{found.status}: {found.message}\n")
        sys.stdout.flush()
    return int(found.driver_exit_code or 1)


def _tell(listener: socket.socket, folder: Path, command: list[str]) -> None:
    """Tell the guard what to run, and leave the connection open for as long as this process lives."""
    connection, _ = listener.accept()
    told = {"folder": str(folder), "environment": dict(os.environ), "arguments": [GRACE, *command]}
    connection.sendall((json.dumps(told) + "\n").encode())
    _connections.append(connection)


_connections: list[socket.socket] = []

if __name__ == "__main__":
    os._exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
