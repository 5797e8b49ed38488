"""AWS by moto, in this process, on a free port."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def moto_server() -> Iterator[str]:
    """The address of a fresh AWS. Its state is moto's own, which is one for the process: use a bucket of your own."""
    server = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    running._server.app = OneWriteAtATime(running._server.app)
    try:
        host, port = running.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        running.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class OneWriteAtATime:
    """moto's application, whose conditional writes are made one after the other.

    S3 compares and writes in one step. moto compares, then writes, each request in a thread of its own: of two writes on the same
    version both may pass, and an increment is lost that S3 would have refused."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if not ("HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ):
            answer: Iterable[bytes] = self._moto(environ, start)
            return answer
        with self._writing:
            return list(self._moto(environ, start))
