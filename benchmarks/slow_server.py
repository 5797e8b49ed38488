"""A server that makes things, slowly: every call takes a fixed time; with ``--rate``, no more calls than that get through in a
second, and the others are refused with 429.

    python -m benchmarks.slow_server --delay 0.05 [--rate 100]

Prints its port, then serves until its standard input is closed. ``GET /counts`` says how many calls got through
and how many were refused; any other request makes a thing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

BURST = 10
"""Calls that may come at once, before the rate counts."""


class Server:
    def __init__(self, delay: float, rate: float) -> None:
        self.delay = delay
        self.rate = rate
        self.left, self.since = float(BURST), time.monotonic()
        self.through = self.refused = 0

    def lets_through(self) -> bool:
        if not self.rate:
            return True
        now = time.monotonic()
        self.left = min(BURST, self.left + (now - self.since) * self.rate)
        self.since = now
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def answer(self, request: str) -> tuple[str, dict[str, int], float]:
        """Status, body, and after how many seconds."""
        if request.startswith("GET /counts"):
            return "200 OK", {"through": self.through, "refused": self.refused}, 0.0
        if not self.lets_through():
            self.refused += 1
            return "429 Too Many Requests", {}, 0.0
        self.through += 1
        return "201 Created", {"id": self.through}, self.delay


class Connection(asyncio.Protocol):
    """One client, which sends its next request when it has its answer. No streams and no tasks: what the server itself needs of the
    processor is not what is measured."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._received = b""
        status, found, delay = self._server.answer(head.decode())
        text = json.dumps(found)
        reply = f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
        asyncio.get_running_loop().call_later(delay, self._transport.write, reply)


def _length(head: bytes) -> int:
    _, name, value = head.lower().partition(b"content-length:")
    return int(value.partition(b"\r")[0]) if name else 0


async def main(delay: float, rate: float) -> None:
    shared = Server(delay, rate)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(shared), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that a call takes")
    parser.add_argument("--rate", type=float, default=0.0, help="calls a second that get through; 0: all")
    given = parser.parse_args()
    asyncio.run(main(given.delay, given.rate))
