"""The proxy's configuration as text: read back, weights, and held against HAProxy itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlinfra_docker.serving.proxy_config import MIRROR, MIRROR_PROGRAM, Routing, Server, described, digest_of, render


def routing(**shares: int) -> Routing:
    servers = tuple(Server(variant=name, host=f"host-{name}") for name in shares)
    return Routing(variants=shares, shadows=frozenset(), servers=servers, described={"port": 8080})


def weights(text: str) -> list[str]:
    return [line.split()[-1] for line in text.splitlines() if " weight " in line]


def test_it_tells_what_it_serves() -> None:
    text = render(routing(one=1))
    assert described(text) == {"port": 8080, "servers": {"host-one": "one"}}
    assert digest_of(text) in text
    assert described("global\n") is None


def test_its_digest_moves_with_what_it_serves_and_with_nothing_else() -> None:
    one = render(routing(one=9, two=1))
    assert digest_of(one) == digest_of(render(routing(one=9, two=1)))
    assert digest_of(one) != digest_of(render(routing(one=1, two=9)))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"one": 90, "two": 10}, ["9", "1"]),
        ({"one": 1}, ["1"]),
        ({"one": 0, "two": 100}, ["1"]),
        ({"one": 9999, "two": 1}, ["256", "1"]),
        ({"one": 1, "two": 1, "three": 1}, ["1", "1", "1"]),
    ],
)
def test_shares_become_weights(shares: dict[str, int], expected: list[str]) -> None:
    assert weights(render(routing(**shares))) == expected


def test_replicas_of_a_variant_divide_its_share() -> None:
    servers = (Server(variant="a", host="a1"), Server(variant="a", host="a2"), Server(variant="b", host="b1"))
    text = render(Routing(variants={"a": 50, "b": 50}, shadows=frozenset(), servers=servers))
    assert weights(text) == ["1", "1", "2"]


def test_a_shadow_gets_copies_and_no_turn() -> None:
    servers = (Server(variant="a", host="a1"), Server(variant="new", host="n1"))
    text = render(Routing(variants={"a": 1, "new": 25}, shadows=frozenset({"new"}), servers=servers))
    assert weights(text) == ["1"]
    assert "lua.mirror 8081 25" in text


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed here")
@pytest.mark.parametrize("sticky", ["", "x-user"])
def test_haproxy_takes_it_whatever_a_variant_is_called(tmp_path: Path, sticky: str) -> None:
    names = ("champion", 'it\'s "new" 100%', "a b\\c", "$HOME")
    servers = tuple(Server(variant=name, host=f"127.0.0.{n + 1}") for n, name in enumerate(names))
    wanted = Routing(
        variants={name: 10 for name in names}, shadows=frozenset({names[1]}), servers=servers, sticky=sticky, health_path="/ready"
    )
    (tmp_path / "mirror.lua").write_text(MIRROR_PROGRAM)
    file = tmp_path / "haproxy.cfg"
    file.write_text(render(wanted).replace(MIRROR, str(tmp_path / "mirror.lua")))
    done = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
