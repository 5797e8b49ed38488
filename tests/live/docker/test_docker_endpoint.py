"""A shadow behind a real proxy: it sees copies, and nobody sees it."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

import pytest
from live.docker import images, parts
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.docker.stack import Stack, stack  # noqa: F401  a fixture

pytestmark = pytest.mark.live


def test_a_shadow_sees_its_share_of_copies_and_no_client_sees_it_slow_or_dead(stack: Stack) -> None:  # noqa: F811
    stack.parts["haproxy"] = images.ensure(stack.api, parts.HAPROXY)
    server = images.ensure(stack.api, parts.SERVER_IMAGE)
    stack.write(f"""\
  api:
    kind: endpoint
    variants:
      champion: {{image: {server}, traffic: 1}}
      half: {{image: {server}, shadow: true, traffic: 50}}
      whole: {{image: {server}, shadow: true}}
outputs: {{url: "${{api.url}}"}}
""")
    stack.run("apply", "--yes")
    host = urlsplit(stack.run("output", "--raw", "url").out.strip()).netloc
    containers = {c["Labels"]["mlinfra:variant"]: c["Id"] for c in stack.containers() if "mlinfra:variant" in c["Labels"]}

    def answers(count: int) -> set[tuple[int, str, str]]:
        """(status, variant, container) of so many requests on one connection, each of which has half a minute."""
        connection = http.client.HTTPConnection(host, timeout=30)
        found = set()
        for number in range(count):
            connection.request("POST", "/invocations", f'{{"inputs": {number}}}', {"content-type": "application/json"})
            reply = connection.getresponse()
            found.add((reply.status, str(reply.headers["x-mlinfra-variant"]), reply.read().decode()))
        connection.close()
        return found

    def seen(variant: str) -> int:
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("GET", "/count", headers={"x-mlinfra-variant": variant})
        found = int(connection.getresponse().read())
        connection.close()
        return found

    champion = {(200, "champion", containers["champion"][:12])}
    assert answers(200) == champion
    wanted = {"champion": 200, "half": 100, "whole": 200}
    end = time.monotonic() + 60
    while {name: seen(name) for name in wanted} != wanted and time.monotonic() < end:
        time.sleep(0.1)  # copies are on their way when the reply is
    assert {name: seen(name) for name in wanted} == wanted

    stack.api.pause(containers["whole"])  # takes connections and never answers
    stack.api.kill(containers["half"])
    assert answers(100) == champion
    stack.api.unpause(containers["whole"])
    assert seen("champion") == 300
