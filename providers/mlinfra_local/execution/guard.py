"""Runs one command, and takes it down with everything it started as soon as whoever started the guard is gone.

``python guard.py GRACE COMMAND…``: the guard's standard input is a pipe that its starter holds open. End of file means that
the starter let go, was killed, or crashed: the command's process group then gets SIGTERM and, GRACE seconds later, SIGKILL.
``python guard.py --connect SOCKET`` is told all of it over a Unix socket instead (see :mod:`mlinfra_local.execution.ray_job`),
whose other end then stands for the starter: no secret is on a command line or in a file.

The exit code is the command's (128 + N when signal N ended it). A script of its own that needs the standard library alone:
it starts in milliseconds and outlives its starter by no more than the grace.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress


def main(arguments: list[str]) -> int:
    """Run the command and give its exit code; 127 when it cannot be started."""
    grace, command = float(arguments[0]), arguments[1:]
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        return 127

    def signal_group(number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)

    def take_down() -> None:
        signal_group(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(grace)
        signal_group(signal.SIGKILL)

    def watch_starter() -> None:
        while os.read(0, 1024):
            pass
        take_down()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=take_down, daemon=True).start())
    threading.Thread(target=watch_starter, daemon=True).start()
    code = child.wait()
    signal_group(signal.SIGKILL)  # what the command left in the background
    return code if code >= 0 else 128 - code


def connected(path: str) -> list[str]:
    """Take folder and environment from the socket and give the arguments; its end of file is the starter's, who also gets
    all output by it."""
    place = os.path.dirname(path)  # noqa: PTH120  pathlib would cost a third of the start
    os.chdir(place)  # a socket's own path is limited to about 100 characters
    starter = socket.socket(socket.AF_UNIX)
    starter.connect(os.path.basename(path))  # noqa: PTH119
    with starter.makefile("r") as lines:
        told = json.loads(lines.readline())
    os.chdir(told["folder"])
    os.environ.update(told["environment"])
    for stream in range(3):
        os.dup2(starter.fileno(), stream)
    arguments: list[str] = told["arguments"]
    return arguments


if __name__ == "__main__":
    os._exit(main(connected(sys.argv[2]) if sys.argv[1] == "--connect" else sys.argv[1:]))
