"""Containers on a real engine: what goes wrong is said with its reason and its way out, and leaves nothing; drift is repaired exactly."""

from __future__ import annotations

import http.server
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from live.docker import images, parts
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.docker.stack import Stack, stack  # noqa: F401  a fixture

from mlinfra_docker.settings import DockerSettings

pytestmark = pytest.mark.live

WEB = """\
  web:
    kind: docker.container
    Image: IMAGE
    Cmd: [python3, -m, http.server, "8000"]
    StopSignal: SIGKILL
    Memory: 60000000
    PortBindings: {"8000/tcp": [{HostPort: ""}]}
    Healthcheck: {Test: [CMD-SHELL, "wget -qO- http://localhost:8000/"]}
"""


def test_every_way_to_fail_is_told_with_its_reason_and_way_out_and_leaves_nothing(stack: Stack) -> None:  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack.write(
            f"""\
  port_in_use:
    kind: docker.container
    Image: IMAGE
    Cmd: [sleep, "1000"]
    PortBindings: {{"80/tcp": [{{HostPort: "{port}"}}]}}
  no_image:
    kind: docker.container
    Image: mlinfra-test/there-is-none:1
  no_gpu:
    kind: docker.container
    Image: IMAGE
    Cmd: [sleep, "1000"]
    DeviceRequests: [{{Driver: "", Count: 1, Capabilities: [[gpu]]}}]
  out_of_memory:
    kind: docker.container
    Image: IMAGE
    Cmd: [python3, -c, "print('allocating', flush=True); a = bytearray(200_000_000); print(len(a))"]
    Memory: 30000000
    MemorySwap: 30000000
    Healthcheck: {{Test: [CMD-SHELL, "false"], StartPeriod: 600000000000}}
  unhealthy:
    kind: docker.container
    Image: IMAGE
    Cmd: [sh, -c, "echo my last words; sleep 1000"]
    StopSignal: SIGKILL
    Healthcheck: {{Test: [CMD-SHELL, "echo not yet; exit 1"], Interval: 100000000, Retries: 2}}
  ends_at_once:
    kind: docker.container
    Image: IMAGE
    Cmd: [sh, -c, "echo no such setting; exit 3"]
  no_program:
    kind: docker.container
    Image: IMAGE
    Cmd: [there-is-no-such-program]
"""
        )
        said = stack.run("apply", "--yes", code=1).text
    for sentence in (
        f"port {port} is in use on the engine's machine",
        "stop what uses it",
        "the engine has no image mlinfra-test/there-is-none:1",
        "this engine has no GPU to give",
        "NVIDIA Container Toolkit",
        "was killed: it needs more memory than its limit of 30 MB",
        "raise its memory",
        "its health check fails; the check says: not yet",
        "my last words",
        "ended with exit code 3",
        "no such setting",
        "there-is-no-such-program",
    ):
        assert sentence in said, said
    assert "Traceback" not in said
    assert stack.left() == {}


def test_what_was_killed_removed_or_changed_by_hand_is_drift_and_is_repaired_exactly(stack: Stack) -> None:  # noqa: F811
    stack.write(
        f'{WEB}  raw: {{kind: bucket}}\n  corpus: {{kind: dataset, bucket: "${{raw}}", source: a.csv}}\n  other: {{kind: bucket}}\n',
        {"a.csv": "1,2\n"},
    )
    stack.run("apply", "--yes")
    made = stack.container("web")
    bound = made["HostConfig"]["PortBindings"]

    stack.api.kill(made["Id"])
    said = stack.run("plan").out
    assert 'Status = "running" → "exited"' in said
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in said
    stack.run("apply", "--yes")
    assert stack.container("web")["Id"] == made["Id"]

    stack.api.update_container(made["Id"], mem_limit=40_000_000, memswap_limit=80_000_000)
    said = stack.run("plan").out
    assert "Memory = 60000000 → 40000000" in said
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in said
    stack.run("apply", "--yes")
    assert stack.container("web")["HostConfig"]["Memory"] == 60_000_000
    assert stack.container("web")["Id"] == made["Id"]

    stack.api.remove_container(made["Id"], force=True)
    stack.api.remove_volume(f"{stack.project}-dev-raw")
    said = stack.run("plan").out
    for gone in ("web (docker.container)", "raw (docker.volume)", "corpus (docker.dataset)"):
        assert f"{gone} is gone" in said, said
    assert "Plan: 3 to add, 0 to change, 0 to destroy." in said, "a volume takes what lies in it along; nothing else moves"
    stack.run("apply", "--yes")
    assert stack.container("web")["HostConfig"]["PortBindings"] == bound, "its address changed"
    assert "No changes" in stack.run("plan").out


def test_limits_and_restarts_change_in_place_and_the_rest_replaces(stack: Stack) -> None:  # noqa: F811
    stack.write(WEB)
    stack.run("apply", "--yes")
    first = stack.container("web")["Id"]
    stack.write(WEB.replace("Memory: 60000000", "NanoCpus: 500000000\n    RestartPolicy: {Name: always}"))
    assert "will be updated in-place" in stack.run("plan").out
    stack.run("apply", "--yes")
    host = stack.container("web")["HostConfig"]
    assert (stack.container("web")["Id"], host["NanoCpus"], host["RestartPolicy"]["Name"]) == (first, 500_000_000, "always")
    assert "No changes" in stack.run("plan").out
    stack.write(WEB + "    Env: {A: b}\n")
    assert "POST /containers/{id}/update" in stack.run("plan").out
    stack.run("apply", "--yes")
    assert stack.container("web")["Id"] != first


def test_ten_kills_at_random_moments_orphan_nothing(stack: Stack) -> None:  # noqa: F811
    """Native types and portable ones: a run's container, an endpoint's models and proxy."""
    stack.parts["haproxy"] = images.ensure(stack.api, parts.HAPROXY)
    server = images.ensure(stack.api, parts.SERVER_IMAGE)
    resources = f"""\
  net: {{kind: docker.network}}
  raw: {{kind: bucket}}
  corpus: {{kind: dataset, bucket: "${{raw}}", source: data}}
  packed: {{kind: image, build: app}}
  one: {{kind: docker.container, Image: "${{packed.uri}}", Cmd: [sleep, "1000"], StopSignal: SIGKILL, NetworkMode: "${{net.Name}}"}}
  two:
    kind: docker.container
    Image: IMAGE
    Cmd: [sh, -c, "sleep 0.5; touch /ready; sleep 1000"]
    StopSignal: SIGKILL
    Mounts: [{{Type: volume, Source: "${{raw.name}}", Target: /data}}]
    Healthcheck: {{Test: [CMD-SHELL, "test -f /ready"]}}
  fit:
    kind: training_job
    image: IMAGE
    code: code
    run: sh fit.sh
    inputs: {{rows: "${{corpus.uri}}"}}
  api:
    kind: endpoint
    variants: {{champion: {{image: {server}, traffic: 9}}, challenger: {{image: {server}, traffic: 1}}}}
    env: {{VERSION: "${{corpus.version}}"}}
"""
    files = {
        "data/a.txt": "a" * 100_000,
        "data/b/c.txt": "c",
        "app/Dockerfile": "FROM IMAGE\nCOPY x /x\n".replace("IMAGE", stack.image),
        "code/fit.sh": 'sleep 0.5; cat "$MLINFRA_INPUT_ROWS/a.txt" > "$MLINFRA_OUTPUT_MODEL/model.txt"\n',
    }
    stack.write(resources, {**files, "app/x": "0"})
    began = time.monotonic()
    stack.run("apply", "--yes")
    whole = time.monotonic() - began
    dice = random.Random(20261125)
    for trial in range(10):
        # what the kill cuts off is by turns a whole new stack, its changes, and its end
        verb = ("destroy", "apply")[trial % 2]
        (stack.folder / "app/x").write_text(str(trial))
        (stack.folder / "data/a.txt").write_text(str(trial) * 100_000)
        process = subprocess.Popen(
            [sys.executable, "-m", "mlinfra", verb, "--yes"],
            cwd=stack.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(dice.uniform(0.2, 1.0) * whole)
        process.kill()
        process.wait()
    stack.run("apply", "--yes")
    assert "No changes" in stack.run("plan").out
    standing = Counter(c["Labels"]["mlinfra:address"] for c in stack.containers())
    assert standing == {"one": 1, "two": 1, "api": 3}
    tagged = {
        tag for image in stack.api.images(filters={"label": [f"mlinfra:project={stack.project}"]}) for tag in image["RepoTags"]
    }
    assert len(tagged) == 1, "an image of an earlier apply is left"


def test_without_an_engine_there_is_one_clear_error(stack: Stack) -> None:  # noqa: F811
    stack.settings["host"] = f"unix://{stack.folder}/no.sock"
    stack.write(WEB)
    said = stack.run("apply", "--yes", code=1).text
    assert f"no Docker engine answers at unix://{stack.folder}/no.sock: no such file or directory" in said
    assert "systemctl start docker" in said
    assert said.count("no Docker engine answers") == 1


def test_a_remote_engine_is_spoken_to_at_its_address(stack: Stack) -> None:  # noqa: F811
    """An engine over TCP: what answers there is no engine, and the error says where and why."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        stack.settings["host"] = f"tcp://127.0.0.1:{server.server_port}"
        stack.write(WEB)
        said = stack.run("apply", "--yes", code=1).text
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert f"no Docker engine answers at tcp://127.0.0.1:{server.server_port}" in said


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"host": "docker.example.com"}, "unix:///var/run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST"),
        ({"host": "ssh://build@gpu1", "tls": {"ca": "ca.pem"}}, "tls needs a host that begins with tcp://"),
        ({"host": "tcp://gpu1:2376", "tls": {"cert": "cert.pem"}}, "needs both cert and key"),
        ({"images": {"milvos": "x"}}, "milvos"),
        ({"limits": {"memory": "1MB"}}, "memory"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DockerSettings.model_validate(settings)
    assert DockerSettings.model_validate({"host": "ssh://build@gpu1"}).host == "ssh://build@gpu1"


def test_a_secret_reaches_the_container_and_nothing_else(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    word = "pl4nted-s3cret-word"
    monkeypatch.setenv("MLINFRA_VAR_password", word)
    resources = '  web:\n    kind: docker.container\n    Image: IMAGE\n    Cmd: [sleep, "1000"]\n    StopSignal: SIGKILL\n'
    stack.write(resources + '    Env: {PASSWORD: "${vars.password}", PLAIN: x}\n')
    spec = stack.folder / "mlinfra.yaml"
    spec.write_text(spec.read_text() + "variables: {password: {type: string, sensitive: true}}\n")
    said = stack.run("apply", "--yes").text
    assert f"PASSWORD={word}" in stack.container("web")["Config"]["Env"]
    assert word not in said
    for file in (stack.folder / ".mlinfra").rglob("*"):
        assert not file.is_file() or word.encode() not in file.read_bytes(), file
    assert "No changes" in stack.run("plan").out
