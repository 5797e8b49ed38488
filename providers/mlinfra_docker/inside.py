"""Addresses as a container of the stack sees them: what is published under a port here, it finds by name on the stack's network."""

from __future__ import annotations

import re
from collections.abc import Callable

from mlinfra_docker.client import LOOPBACK, DockerClient


def translator(client: DockerClient) -> Callable[[str], str]:
    """What rewrites every ``REACH:PORT`` that a container on the stack's network publishes into ``NAME:PORT``; anything else stays.

    Asks the engine once. Blocks."""
    listed = client.get("/containers/json", filters={"network": [client.network]})
    known = {
        str(port["PublicPort"]): f"{container['Names'][0].lstrip('/')}:{port['PrivatePort']}"
        for container in listed
        for port in container.get("Ports") or ()
        if port.get("PublicPort")
    }
    hosts = "|".join(sorted(map(re.escape, {client.reach, LOOPBACK, "localhost"}), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.-])(?:{hosts}):(\d{{1,5}})(?!\d)")
    return lambda text: pattern.sub(lambda match: known.get(match[1], match[0]), text) if known else text
