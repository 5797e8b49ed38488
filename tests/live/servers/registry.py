"""A container registry of the test's own on loopback, which engines speak to without TLS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest


class Registry:
    """``host`` (``127.0.0.1:PORT``) begins the names of its images. It keeps them below ``folder``."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            pytest.skip("there is no registry here: apt-get install docker-registry")
        folder.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        settings = {
            "version": 0.1,
            "log": {"accesslog": {"disabled": True}, "level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": self.host},
        }
        (folder / "config.yml").write_text(json.dumps(settings))
        self._command = [program, "serve", str(folder / "config.yml")]
        self._log = folder / "log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5).close()
                return
            except urllib.error.HTTPError:  # it asks for a login
                return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()[-500:]
                time.sleep(0.05)
        raise AssertionError("the registry does not come up")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
