"""Ports of the loopback: which are free, and whether what listens on one is well."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable

HOST = "127.0.0.1"

Health = Callable[[int], bool]
"""Says whether the service on this port answers; False or an OSError: not yet."""


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answers_http(path: str = "/", *, timeout: float = 2.0) -> Health:
    """Healthy when ``GET path`` on the loopback is answered with a 2xx."""

    def check(port: int) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
        try:
            connection.request("GET", path)
            return 200 <= connection.getresponse().status < 300
        except http.client.HTTPException:
            return False
        finally:
            connection.close()

    return check


def answers_tcp(*, timeout: float = 2.0) -> Health:
    """Healthy when a TCP connection on the loopback is accepted."""

    def check(port: int) -> bool:
        with socket.create_connection((HOST, port), timeout=timeout):
            return True

    return check


def keep_or_choose(port: int) -> int:
    """The same port while nobody else listens on it, else one that is free: where a stopped service will listen again."""
    return port if is_free(port) else free_port()


def is_free(port: int) -> bool:
    """Whether this port could be listened on just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
