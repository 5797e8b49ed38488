"""An HTTP server in a thread, for as long as a block lasts, and a handler whose subclasses only say what they answer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, is silent, and answers each request in one packet.

    A subclass names the methods that it takes (``do_GET = do_POST = answer``) and uses :meth:`whole_body` and :meth:`reply`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def whole_body(self) -> bytes:
        """What was sent, in one piece or in chunks. ConnectionError when whoever asked was killed in the middle of it: to a
        server, no request at all."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            found = b""
            while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found
        length = int(self.headers.get("Content-Length") or 0)
        found = self.rfile.read(length)
        if len(found) < length:
            raise ConnectionError(f"{len(found)} of {length} bytes came")
        return found

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """One whole answer. 204 and 304 carry no body and no length, and to HEAD goes the length alone; a ``Content-Length``
        among the headers is the one that is told."""
        given = dict(headers or {})
        empty = status in (204, 304)
        self.send_response(status)
        for name, value in given.items():
            self.send_header(name, value)
        if not empty and "content-length" not in {name.lower() for name in given}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not empty and self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that hung up, or was killed
            super().handle_error(request, client_address)


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], *, tls: SSLContext | None = None) -> Iterator[str]:
    """The address of a server on a free port of this machine, ``http://127.0.0.1:PORT`` (``https`` with ``tls``)."""
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
