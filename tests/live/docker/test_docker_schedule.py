"""A schedule, kept by Dagster's real daemon in a container: its steps are containers, and what they gave is passed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from live.docker import images, parts
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.docker.stack import Stack, stack  # noqa: F401  a fixture

pytestmark = [pytest.mark.live, pytest.mark.slow]

SPEC = """\
  features:
    kind: data_pipeline
    code: code
    schedule: "* * * * *"
    run_on_apply: false
    image: IMAGE
    steps:
      clean: {run: python3 clean.py, outputs: [clean]}
      check: {needs: [clean], expect: {rows: 3}}
      embed: {run: "sh embed.sh", needs: [check], outputs: [embedded]}
outputs: {embedded: "${features.outputs.embedded}"}
"""
CODE = {
    "code/clean.py": (
        "import json, os, pathlib, time\n"
        "out = pathlib.Path(os.environ['MLINFRA_OUTPUT_CLEAN'])\n"
        "(out / 'rows.txt').write_text('1\\n2\\n3\\n')\n"
        "(out / 'metrics.json').write_text(json.dumps({'rows': 3}))\n"
        "time.sleep(5)\n"
    ),
    "code/embed.sh": 'sort -r "$MLINFRA_INPUT_CLEAN/rows.txt" > "$MLINFRA_OUTPUT_EMBEDDED/rows.txt"\n',
}


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 600
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.3)


@contextmanager
def started_steps(stack: Stack) -> Iterator[list[str]]:  # noqa: F811
    """The steps that have had a container since, as the engine itself tells it: who looks now and then misses the short ones."""
    wanted = {"type": "container", "event": "start", "label": [f"mlinfra:project={stack.project}", "mlinfra:run"]}
    events = stack.api.events(decode=True, filters=wanted)
    started: list[str] = []

    def listen() -> None:
        for event in events:
            started.append(event["Actor"]["Attributes"]["mlinfra:run"].rpartition("/")[2])

    listener = Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield started
    finally:
        events.close()
        listener.join(10)


def test_a_scheduled_run_has_containers_for_steps_and_its_results_are_passed_on(stack: Stack) -> None:  # noqa: F811
    import docker

    stack.parts |= {
        part: images.ensure(stack.api, recipe) for part, recipe in (("dagster", parts.DAGSTER), ("python", parts.PYTHON))
    }
    stack.write(SPEC, CODE)
    with started_steps(stack) as started:
        stack.run("apply", "--yes")
        (daemon,) = [c["Id"] for c in stack.containers() if c["Labels"].get("mlinfra:role") == "daemon"]

        def done() -> bool:
            try:
                stack.api.get_archive(daemon, "/mlinfra/pipeline/result.json")
            except docker.errors.NotFound:
                return False
            return True

        until(done, "no scheduled run was complete")
        until(lambda: {"clean", "embed"} <= {*started}, "a step that runs something had no container")
        assert "check" not in started, "a step that only checks needs no container"
    said = stack.run("apply", "--yes").out
    assert "0 added, 0 changed, 0 destroyed" in said, said
    volume, _, path = stack.run("output", "--raw", "embedded").out.strip().removeprefix("docker://").partition("/")
    assert volume == f"{stack.project}-dev-features-runs"
    code = stack.api.exec_create(daemon, ["cat", f"/mlinfra/pipeline/{path}/rows.txt"])
    assert stack.api.exec_start(code["Id"]) == b"3\n2\n1\n"
    assert "No changes" in stack.run("plan").out

    def running() -> bool:
        return any("mlinfra:run" in container["Labels"] for container in stack.containers(all=False))

    until(running, "there is no second run")  # which the end of the stack cuts off
    stack.run("destroy", "--yes")
    assert stack.left() == {}
