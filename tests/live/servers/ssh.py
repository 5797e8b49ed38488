"""An SSH server of the test's own on loopback, and an ``ssh`` that knows it: the real programs, with files of the test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


class SshServer:
    """sshd in ``folder``; ``path`` is a folder for the front of PATH, with an ``ssh`` that takes ``client.conf`` for the person's file.

    OpenSSH looks for that file in the account's own home, whatever HOME says."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if program is None or shutil.which("ssh") is None:
            pytest.skip("there is no OpenSSH server here: apt-get install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it shuts its own helpers in
        self.folder = folder
        folder.mkdir(parents=True)
        for name in ("host", "key", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "allowed").write_text((folder / "key.pub").read_text())
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        settings = {
            "Port": self.port, "ListenAddress": "127.0.0.1", "HostKey": folder / "host", "AuthorizedKeysFile": folder / "allowed",
            "StrictModes": "no", "UsePAM": "no", "PidFile": "none", "PermitRootLogin": "prohibit-password", "PasswordAuthentication": "no",
        }  # fmt: skip
        (folder / "sshd.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.log = folder / "sshd.log"
        self._process = subprocess.Popen([program, "-D", "-f", folder / "sshd.conf", "-E", self.log])
        self.path = folder / "bin"
        self.path.mkdir()
        wrapper = self.path / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client.conf "$@"\n')
        wrapper.chmod(0o755)
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        self.let_in()
        self._wait()

    @property
    def url(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def let_in(self, *, key: str = "key", known: str = "known") -> None:
        """The person's file from now on: which key is offered, and which hosts are known."""
        settings = {"IdentityFile": self.folder / key, "IdentitiesOnly": "yes", "UserKnownHostsFile": self.folder / known}
        settings["GlobalKnownHostsFile"] = "none"
        (self.folder / "client.conf").write_text("Host *\n" + "".join(f"  {name} {value}\n" for name, value in settings.items()))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _wait(self) -> None:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                if self._process.poll() is not None:
                    pytest.skip(f"sshd cannot run here: {self.log.read_text()[-500:]}")
                time.sleep(0.05)
        raise AssertionError("sshd does not come up")
