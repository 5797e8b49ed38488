"""Remote engines, for real: TLS whose both ends are checked, and SSH. What does not get in is told once, with the way out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from live.docker.own_engine import Engine, docker_api, engine  # noqa: F401  fixtures
from live.docker.stack import Stack, stack  # noqa: F401  a fixture
from live.servers.authority import Authority
from live.servers.ssh import SshServer

from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Failure
from mlinfra_docker.provider import DockerProvider

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("own_engine")]

RESOURCES = """\
  net: {kind: docker.network, Driver: DRIVER}
  raw: {kind: bucket}
  corpus: {kind: dataset, bucket: "${raw}", source: data}
  one:
    kind: docker.container
    Image: IMAGE
    NetworkMode: none
    StopSignal: SIGKILL
    Cmd: [sh, -c, "cat /data/datasets/corpus/*/a.txt; sleep 1000"]
    Mounts: [{Type: volume, Source: "${raw.name}", Target: /data}]
    depends_on: [corpus]
"""
DATA = {"data/a.txt": "by a long way\n", "data/b.txt": "b" * 300_000}


def made_and_destroyed(stack: Stack, driver: str) -> None:  # noqa: F811
    """A network, a volume, files in it, and a container that reads them: all four made, read, left alone, gone."""
    stack.write(RESOURCES.replace("DRIVER", driver), DATA)
    said = stack.run("apply", "--yes").text
    assert "Attempt" not in said, said
    assert stack.run("logs", "one").out == "by a long way\n"
    assert "No changes" in stack.run("plan").out
    stack.run("destroy", "--yes")
    assert stack.left() == {}


# TLS


@pytest.fixture
def over_tls(engine: Engine, tmp_path: Path, run_mlinfra: Callable[..., Any]) -> Iterator[Stack]:  # noqa: F811
    """A stack on the tests' own engine, which is spoken to by TCP with a client's certificate."""
    import docker

    there = docker.APIClient(engine.host, version="auto", timeout=600)
    made = Stack(there, tmp_path / "stack", run_mlinfra)
    certificate, key = engine.authority.issue("client", server=False)
    made.settings |= {
        "host": engine.remote,
        "tls": {"ca": str(engine.authority.certificate), "cert": str(certificate), "key": str(key)},
    }
    yield made
    made.sweep()
    there.close()


def test_a_stack_over_tls_is_made_and_destroyed(over_tls: Stack) -> None:
    made_and_destroyed(over_tls, "null")  # this engine has no bridge


def test_whose_certificates_are_not_trusted_is_told_once_and_why(over_tls: Stack) -> None:
    Authority(over_tls.folder / "other").issue("client", server=False)
    right = over_tls.settings["tls"]
    over_tls.settings["tls"] = {**right, "ca": "other/ca.pem"}
    over_tls.write(RESOURCES.replace("DRIVER", "null"), DATA)
    said = over_tls.run("apply", "--yes", code=1).text
    assert (
        said.count(f"no Docker engine answers at {over_tls.settings['host']}: the engine's certificate is not trusted: ") == 1
    ), said
    assert "providers: {docker: {tls: {ca: …}}} names the authority" in " ".join(said.split())
    assert "Traceback" not in said and over_tls.left() == {}

    unsigned = "the engine asks for a client certificate that its authority signed"
    for changed, problem in (
        ({"cert": "other/client.pem", "key": "other/client.key"}, unsigned),
        ({"cert": None, "key": None}, unsigned),
        ({"ca": "there/is/none.pem"}, f"there is no file {over_tls.folder}/there/is/none.pem"),
    ):
        over_tls.settings["tls"] = {**right, **changed}
        assert refusal(over_tls).message.endswith(problem)


def refusal(stack: Stack) -> Failure:  # noqa: F811
    """What a connection by the stack's settings comes to."""
    provider = DockerProvider()
    context = ProviderContext(project=stack.project, environment="dev", base=stack.folder, data=stack.folder / "data")
    with pytest.raises(Failure, match=f"^no Docker engine answers at {stack.settings['host']}: ") as caught:
        asyncio.run(provider.connect(provider.config.model_validate(stack.settings), context))
    return caught.value


# SSH


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    server = SshServer(tmp_path / "ssh")
    monkeypatch.setenv("PATH", f"{server.path}:{os.environ['PATH']}")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def over_ssh(sshd: SshServer, stack: Stack) -> Stack:  # noqa: F811
    stack.settings["host"] = sshd.url
    return stack


def test_a_stack_over_ssh_is_made_and_destroyed_by_a_connection_or_two_a_command(over_ssh: Stack, sshd: SshServer) -> None:
    made_and_destroyed(over_ssh, "bridge")
    assert sshd.log.read_text().count("Accepted publickey") <= 2 * 4, "a command looks, and then acts"
    assert tunnels() == []


def test_who_does_not_get_in_by_ssh_is_told_once_and_why(over_ssh: Stack, sshd: SshServer) -> None:
    over_ssh.write(RESOURCES.replace("DRIVER", "bridge"), DATA)
    sshd.let_in(key="stranger")
    said = over_ssh.run("apply", "--yes", code=1).text
    assert said.count("Permission denied (publickey") == 1, said
    assert "add the key to the agent (ssh-add)" in " ".join(said.split())
    assert "Traceback" not in said
    sshd.let_in(known="nobody")
    refused = refusal(over_ssh)
    assert "Host key verification failed" in refused.message and "connect once by hand with ssh" in refused.hint
    sshd.let_in()
    over_ssh.settings["host"] = f"{sshd.url}/run/there-is-none.sock"
    refused = refusal(over_ssh)
    assert "ssh gets in, but the socket /run/there-is-none.sock cannot be opened there" in refused.message
    assert "is the engine up there" in refused.hint
    assert tunnels() == []


def test_a_connection_that_is_cut_is_made_again_and_a_kill_leaves_none(over_ssh: Stack) -> None:
    over_ssh.write(
        "  slow:\n    kind: docker.container\n    Image: IMAGE\n    StopSignal: SIGKILL\n    Cmd: [sleep, '1000']\n"
        "    Healthcheck: {Test: [CMD-SHELL, 'test -f /go'], StartPeriod: 600000000000}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mlinfra", "apply", "--yes"],
        cwd=over_ssh.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "waiting until" in line:
            (first,) = tunnels()
            first.kill()
            break
    while tunnels() in ([], [first]):
        assert process.poll() is None, process.stdout.read()
    (second,) = tunnels()
    process.send_signal(signal.SIGKILL)
    process.wait()
    second.wait(60)
    over_ssh.write('  slow: {kind: docker.container, Image: IMAGE, StopSignal: SIGKILL, Cmd: [sleep, "1000"]}\n')
    over_ssh.run("apply", "--yes")
    assert len(over_ssh.containers()) == 1
    assert "No changes" in over_ssh.run("plan").out


def tunnels() -> list[psutil.Process]:
    """The ssh processes that bring an engine's socket here."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any("/mlinfra-ssh-" in part for part in process.info["cmdline"] or ()) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found
