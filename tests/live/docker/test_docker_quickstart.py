"""examples/quickstart with `--env ci` on a real engine: applied once, asked under load, changed, broken, destroyed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from live.docker import images, parts
from live.docker.engine import docker_api  # noqa: F401  a fixture

EXAMPLE = Path(__file__).parents[3] / "examples" / "quickstart"
PROJECT = f"runs{os.getpid()}"
OURS = {"label": [f"mlinfra:project={PROJECT}"]}

pytestmark = [pytest.mark.live, pytest.mark.slow]

SMALLER = {
    "project: quickstart\n": f"project: {PROJECT}\n",
    "variables:\n": "variables:\n  token: {type: string, sensitive: true, default: planted-secret-4711}\n",
    "    code: features\n": "    code: features\n    ui: true\n",
    "outputs: [clean]\n": 'outputs: [clean]\n        env: {TOKEN: "${vars.token}"}\n',
    "registry: {kind: model_registry}": "registry: {kind: model_registry, ui: true}",
    "    health: {path: /ping, timeout: 60s}\n": "    resources: {memory: 800MB}\n    health: {path: /ping, timeout: 240s}\n",
    "outputs:\n  predict_url": "outputs:\n  dagster: ${features.ui}\n  mlflow: ${registry.ui}\n  predict_url",
}
"""What the tests' stack has beside examples/quickstart: a name of its own, web pages, a secret, limits."""


class Stack:
    def __init__(self, folder: Path, api: Any) -> None:
        self.folder = folder
        self.api = api

    def mlinfra(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments, "--env", "ci"],
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def containers(self, **labels: str) -> list[Any]:
        filters = {"label": [*OURS["label"], *(f"mlinfra:{k}={v}" for k, v in labels.items())]}
        return list(self.api.containers(all=True, filters=filters))

    @property
    def host(self) -> str:
        return urlsplit(self.mlinfra("output", "--raw", "predict_url").strip()).netloc


class Load:
    """Clients that ask without a pause, each on connections of its own, until they are told to stop."""

    def __init__(self, host: str, clients: int = 2) -> None:
        self.seen: Counter[str] = Counter()
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(host, number % 2 == 0)) for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def until(self, count: int) -> None:
        """Wait until so many requests were answered; a failed one ends the waiting."""
        while sum(self.seen.values()) < count and not self.failed:
            time.sleep(0.1)

    def _ask(self, host: str, keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            try:
                connection = connection or http.client.HTTPConnection(host, timeout=120)
                status, variant, closes = ask(connection)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection = None
                continue
            with self._lock:
                self.seen[variant] += 1
            if status != 200:
                self.failed.append(str(status))
            if closes or not keep:
                connection.close()
                connection = None


def ask(connection: http.client.HTTPConnection) -> tuple[int, str, bool]:
    """Status, variant, and whether the server closes the connection."""
    connection.request("POST", "/invocations", (EXAMPLE / "request.json").read_bytes(), {"content-type": "application/json"})
    reply = connection.getresponse()
    body = reply.read()
    if reply.status == 200:
        assert json.loads(body) == {"predictions": [7]}
    return reply.status, reply.headers["x-mlinfra-variant"], reply.headers.get("connection", "").lower() == "close"


def shares(host: str, count: int) -> Counter[str]:
    connection = http.client.HTTPConnection(host, timeout=120)
    found = Counter(ask(connection)[1] for _ in range(count))
    connection.close()
    return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, docker_api: Any) -> Iterator[Stack]:  # noqa: F811
    chosen = {
        "helper": images.ensure(docker_api, images.BASE),
        "python": images.ensure(docker_api, parts.PYTHON),
        "haproxy": images.ensure(docker_api, parts.HAPROXY),
        "dagster": images.ensure(docker_api, parts.DAGSTER),
        "mlflow": images.ensure(docker_api, images.MLFLOW),
        "milvus": images.ensure(docker_api, images.MILVUS),
    }
    folder = tmp_path_factory.mktemp("docker") / "stack"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
    spec = folder / "mlinfra.yaml"
    text = spec.read_text() + f"providers: {{docker: {{images: {json.dumps(chosen)}, pull: false}}}}\n"
    for before, after in SMALLER.items():
        assert before in text
        text = text.replace(before, after, 1)
    spec.write_text(text)
    made = Stack(folder, docker_api)
    try:
        made.mlinfra("apply", "--yes")
        yield made
    finally:
        made.mlinfra("destroy", "--yes")
        left = [c["Names"] for c in made.containers()]
        kept = [v["Name"] for v in docker_api.volumes(filters=OURS)["Volumes"] or ()]
        networks = [n["Name"] for n in docker_api.networks(filters=OURS)]
        built = [i["RepoTags"] for i in docker_api.images(filters=OURS)]
        assert (left, kept, networks, built) == ([], [], [], []), "destroy left something behind"


def test_a_plan_right_after_has_nothing_to_do(stack: Stack) -> None:
    assert "No changes" in stack.mlinfra("plan", "--detailed-exitcode")
    assert float(stack.mlinfra("output", "--raw", "accuracy")) > 0.9


def test_requests_are_shared_out_as_the_weights_say(stack: Stack) -> None:
    assert shares(stack.host, 100) == {"champion": 90, "challenger": 10}


def test_it_finds_what_looks_alike_in_a_real_milvus(stack: Stack) -> None:
    uri, collection = (stack.mlinfra("output", "--raw", name).strip() for name in ("vectors_uri", "collection"))
    command = [sys.executable, "search.py", uri, collection]
    said = subprocess.run(command, cwd=stack.folder, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    assert said[0] == "digit 7 is a 7; most like it are"
    assert sum("a 7" in line for line in said[1:]) >= 4


@pytest.mark.parametrize(("name", "path"), [("dagster", "/server_info"), ("mlflow", "/health")])
def test_the_web_pages_answer(stack: Stack, name: str, path: str) -> None:
    with urllib.request.urlopen(stack.mlinfra("output", "--raw", name).strip() + path, timeout=60) as reply:
        assert reply.status == 200


def test_a_secret_reaches_the_step_and_no_file_of_ours(stack: Stack) -> None:
    for file in (stack.folder / ".mlinfra").rglob("*"):
        assert not file.is_file() or b"planted-secret-4711" not in file.read_bytes(), file


def test_weights_and_models_change_under_load_with_no_failed_request(stack: Stack) -> None:
    host = stack.host
    with Load(host) as load:
        stack.mlinfra("apply", "--yes", "--var", "challenger_traffic=100")
        assert shares(host, 20) == {"challenger": 20}
        before = {c["Labels"]["mlinfra:variant"]: c["Id"] for c in stack.containers(role="model")}
        stack.mlinfra("apply", "--yes", "--var", "challenger_traffic=10", "--var", "regularization=0.2")
        now = {c["Labels"]["mlinfra:variant"]: c["Id"] for c in stack.containers(role="model")}
        assert now["challenger"] == before["challenger"] and now["champion"] != before["champion"]
        load.until(2000)
    assert load.failed == []
    assert set(load.seen) == {"champion", "challenger"}
    assert shares(host, 100) == {"champion": 90, "challenger": 10}


def test_a_killed_model_and_a_changed_limit_are_found_and_repaired_exactly(stack: Stack) -> None:
    asked = ("--var", "challenger_traffic=10", "--var", "regularization=0.2")
    killed, kept = stack.containers(role="model")
    stack.api.kill(killed["Id"])
    stack.api.update_container(kept["Id"], mem_limit="700m", memswap_limit="700m")
    plan = stack.mlinfra("plan", *asked)
    assert '"running" → "degraded"' in plan
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in plan
    stack.mlinfra("apply", "--yes", *asked)
    now = {c["Id"] for c in stack.containers(role="model")}
    assert kept["Id"] in now and killed["Id"] not in now and len(now) == 2
    assert {stack.api.inspect_container(id)["HostConfig"]["Memory"] for id in now} == {800_000_000}
    assert "No changes" in stack.mlinfra("plan", "--detailed-exitcode", *asked)
    assert shares(stack.host, 10)


def test_code_that_fails_says_why_and_leaves_nothing(stack: Stack) -> None:
    train = stack.folder / "training" / "train.py"
    before = train.read_text()
    asked = ("--var", "challenger_traffic=10", "--var", "regularization=0.2")
    try:
        train.write_text("print('reading the data')\nraise SystemExit('no such column: labell')\n")
        said = stack.mlinfra("apply", "--yes", *asked, code=1)
        assert "failed with exit code 1" in said and "no such column: labell" in said
        train.write_text("x = bytearray(2_000_000_000)\n")
        assert "it needs more memory than its limit of 1,000 MB" in stack.mlinfra("apply", "--yes", *asked, code=1)
    finally:
        train.write_text(before)
    assert stack.containers(run=f"{PROJECT}-ci-fit-logistic-runs/run") == []
    assert "No changes" in stack.mlinfra("plan", "--detailed-exitcode", *asked)
