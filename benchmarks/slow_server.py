"""A server that makes things, slowly: every call takes a fixed time; with ``--rate``, no more calls than that get through in a
second, and the others are refused with 429.

    python -m benchmarks.slow_server --delay 0.05 [--rate 100]

Prints its port, then serves until its standard input is closed. ``POST /things`` and ``DELETE /things/ID`` are all it knows;
``GET /counts`` says how many calls got through and how many were refused.
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

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = next((int(v) for k, _, v in (line.partition(":") for line in lines) if k.lower() == "content-length"), 0)
                await reader.readexactly(length)
                status, body = await self.answer(lines[0])
                text = json.dumps(body).encode()
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, request: str) -> tuple[str, dict[str, int]]:
        if request.startswith("GET /counts"):
            return "200 OK", {"through": self.through, "refused": self.refused}
        if not self.lets_through():
            self.refused += 1
            return "429 Too Many Requests", {}
        self.through += 1
        number = self.through
        await asyncio.sleep(self.delay)
        return "201 Created", {"id": number}


async def main(delay: float, rate: float) -> None:
    server = await asyncio.start_server(Server(delay, rate).serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that a call takes")
    parser.add_argument("--rate", type=float, default=0.0, help="calls a second that get through; 0: all")
    given = parser.parse_args()
    asyncio.run(main(given.delay, given.rate))
