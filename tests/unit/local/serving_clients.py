"""Clients of a serving process, for tests: single requests, shares, and constant load that forgives no failure."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

BODY = {"dataframe_split": {"columns": ["a"], "data": [[1]]}}


async def ask(url: str, body: Any = BODY, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(f"{url}/invocations", json=body, headers=headers, timeout=30)


async def share(url: str, requests: int, headers: Callable[[int], dict[str, str]] = lambda _: {}) -> Counter[str]:
    """Which variants answered ``requests`` requests."""
    async with httpx.AsyncClient(trust_env=False) as http:
        replies = [await http.post(f"{url}/invocations", json=BODY, headers=headers(i)) for i in range(requests)]
    assert all(r.status_code == 200 for r in replies)
    return Counter(r.headers["x-mlinfra-variant"] for r in replies)


async def until(condition: Callable[[], bool], describe: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + 30
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"it did not happen in time: {describe()}"
        await asyncio.sleep(0.02)


class Load:
    """Two clients that ask without a pause; every reply is kept with its variant and prediction."""

    def __init__(self, url: str) -> None:
        self.failures: list[str] = []
        self.replies: list[tuple[str, str]] = []
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]

    def _run(self) -> None:
        while not self._stop.is_set():
            # A connection for every few requests: new connections must be accepted during a change too.
            with httpx.Client(trust_env=False) as http:
                for _ in range(5):
                    try:
                        reply = http.post(f"{self._url}/invocations", json=BODY, timeout=30)
                        if reply.status_code != 200:
                            self.failures.append(f"{reply.status_code} {reply.text}")
                        else:
                            self.replies.append((reply.headers["x-mlinfra-variant"], reply.json()["predictions"][0]))
                    except httpx.HTTPError as error:
                        self.failures.append(repr(error))

    async def sees(self, condition: Callable[[], bool]) -> None:
        await until(condition, lambda: (self.failures[:3], Counter(self.replies)))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextlib.asynccontextmanager
async def load(url: str) -> AsyncIterator[Load]:
    """Constant load; at the end not one request may have failed."""
    clients = Load(url)
    for thread in clients._threads:
        thread.start()
    try:
        await clients.sees(lambda: len(clients.replies) > 20)
        yield clients
        seen = len(clients.replies)
        await clients.sees(lambda: len(clients.replies) > seen + 20)
    finally:
        await asyncio.to_thread(clients.stop)
    assert clients.failures == []
