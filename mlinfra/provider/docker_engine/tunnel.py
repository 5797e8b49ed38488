"""An engine over SSH: its socket, brought here by the ``ssh`` command over one connection.

The person's own configuration, keys, agent and jump hosts count, as for ``docker -H ssh://…``; nothing is ever asked at the terminal.
Every call is a channel of the one connection: a process a call, as the SDK has it, costs a handshake each, and sshd turns many at once away.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from mlinfra.provider.failures import Failure, Invalid, Transient

SOCKET = "/var/run/docker.sock"
"""Where an engine listens on its own machine, unless the address has a path."""

_OPTIONS = (
    "BatchMode=yes",  # a question would be lost below the progress of an apply
    "ConnectTimeout=30",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ControlMaster=no",
    "ControlPath=none",  # a connection of ours alone, which ends when we do
    "RemoteCommand=none",
    "RequestTTY=no",
)
_NO_SOCKET = (
    "is the engine up there, may that user use its socket (group docker), and does sshd allow forwarding "
    "(AllowStreamLocalForwarding)? ssh://USER@HOST/PATH names another socket"
)
_PATIENCE = 60.0
_POLL = 0.02
_ENDING = 0.5
"""Seconds between a connection's end, as calls see it, and that of its process."""
_HINTS = {
    "ermission denied": "ssh must get in without asking for anything: add the key to the agent (ssh-add), or name it in ~/.ssh/config",
    "ost key verification failed": "connect once by hand with ssh, compare the key that it shows, and accept it",
    "ould not resolve hostname": "is the host's name right, or known to ~/.ssh/config?",
}


class Tunnel:
    """``address`` is ``ssh://[USER@]HOST[:PORT][/PATH/OF/docker.sock]``; ``url`` is where the engine's socket is, here."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.address = address
        self._socket = parts.path if parts.path.strip("/") else SOCKET
        self._where = [*(["-l", parts.username] if parts.username else []), *(["-p", str(parts.port)] if parts.port else [])]
        host = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}")  # as it is written: `hostname` is in lower case
        self._where += ["--", host.strip("[]")]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.mkdtemp(prefix="mlinfra-ssh-")  # 0700; a socket's path must be short
        self.url = f"unix://{self._folder}/docker.sock"

    def open(self) -> None:
        """Connect, unless it is connected. Transient, with ssh's own reason, when that fails. Blocks up to a minute."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._connect()

    def close(self) -> None:
        """End the connection. Nothing is left behind."""
        with self._lock:
            self._end()
            shutil.rmtree(self._folder, ignore_errors=True)

    def trouble(self) -> Failure | None:
        """What ssh complained about last, with the way out; None when it did not, and holds the connection."""
        with suppress(OSError):
            text = Path(self._folder, "said").read_text(errors="replace")
            last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
            if "open failed" in last:  # sshd does not say why
                return Transient(f"ssh gets in, but the socket {self._socket} cannot be opened there", hint=_NO_SOCKET)
            if last and self._ended():
                changed = " (the host shows another key than the known one)" if "IDENTIFICATION HAS CHANGED" in text else ""
                return Transient(last + changed, hint=next((hint for mark, hint in _HINTS.items() if mark in last), ""))
        return None

    def _ended(self) -> bool:
        process = self._process
        try:
            return process is None or process.wait(_ENDING) is not None
        except subprocess.TimeoutExpired:
            return False

    def reached_at(self) -> str:
        """The host's name or address, when the address names an entry of ``~/.ssh/config``. Looks nothing up."""
        told = subprocess.run(["ssh", "-G", *self._where], capture_output=True, text=True, check=False).stdout
        found = dict(line.partition(" ")[::2] for line in told.splitlines())
        return found.get("hostname") or self._where[-1]

    def _connect(self) -> None:
        here = Path(self._folder, "docker.sock")
        here.unlink(missing_ok=True)
        options = [part for option in _OPTIONS for part in ("-o", option)]
        # `cat` ends when our end of its input does, and the connection with it: also when we are killed
        command = ["ssh", *options, "-L", f"{here}:{self._socket}", *self._where, "cat"]
        try:
            with Path(self._folder, "said").open("wb") as said:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said,
                    start_new_session=True,  # Ctrl-C is for us: what is under way still needs the connection
                )  # fmt: skip
        except FileNotFoundError as error:
            raise Invalid("there is no ssh command on this machine", hint="install OpenSSH's client") from error
        end = time.monotonic() + _PATIENCE
        while not _accepts(here):
            if self._process.poll() is not None or time.monotonic() > end:
                self._end()
                raise self.trouble() or Transient(f"ssh does not connect within {_PATIENCE:g} s")
            time.sleep(_POLL)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            process.terminate()
            process.wait()


def _accepts(path: Path) -> bool:
    """Whether somebody listens: the socket's file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
