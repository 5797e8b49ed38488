"""moto's AWS in a process of its own, every request counted.

    python -m benchmarks.counting_moto

Prints its port, then serves until its standard input is closed. ``GET /bench/requests`` answers with the number of requests since
it was last asked.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Start = Callable[..., Any]


class Counted:
    """The WSGI application in front of moto's."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self._count = itertools.count()
        self._told = 0

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        number = next(self._count)
        if environ["PATH_INFO"] != "/bench/requests":
            answer: Iterable[bytes] = self._moto(environ, start)
            return answer
        text = str(number - self._told).encode()
        self._told = number + 1
        start("200 OK", [("Content-Length", str(len(text)))])
        return [text]


class KeepsConnections(WSGIRequestHandler):
    """As AWS does."""

    protocol_version = "HTTP/1.1"


def main() -> None:
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # AWS's own policies are there, as in every account
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Counted(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeepsConnections)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
