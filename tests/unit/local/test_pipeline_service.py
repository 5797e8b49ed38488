"""A pipeline's own Dagster processes: they outlive the command, are repaired when they die, and run the same steps."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pipeline_project import Project

from mlinfra.model.values import Secret
from mlinfra_local import services

LAUNCH = """
mutation { launchRun(executionParams: {
    selector: {repositoryLocationName: "mlinfra_local.pipelines.location", repositoryName: "__repository__", jobName: "features"},
    runConfigData: {}
}) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
SCHEDULES = """
{ schedulesOrError(repositorySelector: {
    repositoryLocationName: "mlinfra_local.pipelines.location", repositoryName: "__repository__"
}) { ... on Schedules { results { cronSchedule executionTimezone scheduleState { status } } } } }
"""
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    made.spec["schedule"] = "0 3 * * *"
    made.spec["timezone"] = "Europe/Berlin"
    made.spec["steps"]["count"]["env"]["TOKEN"] = Secret("planted-secret")
    yield made
    made.delete()


def ask(url: str, query: str, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["data"]


def pids(project: Project) -> dict[str, int]:
    folder = project.client.folder("pipelines", "features")
    found = {role: services.status(folder / role) for role in ("webserver", "daemon")}
    return {role: service.pid for role, service in found.items() if service is not None}


def test_a_schedule_lives_on_runs_the_steps_again_and_is_repaired(project: Project) -> None:
    attributes = project.apply()
    assert attributes["status"] == "running"
    assert project.differences() == set()
    before = pids(project)
    assert set(before) == {"webserver", "daemon"}

    # The schedule is on, and a run that it or a person starts does every step again.
    (schedule,) = ask(attributes["url"], SCHEDULES)["schedulesOrError"]["results"]
    assert schedule == {"cronSchedule": "0 3 * * *", "executionTimezone": "Europe/Berlin", "scheduleState": {"status": "RUNNING"}}
    launched = ask(attributes["url"], LAUNCH)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run = launched["run"]["runId"]
    deadline = time.monotonic() + 120
    while (status := ask(attributes["url"], RUN, id=run)["runOrError"]["status"]) not in ("SUCCESS", "FAILURE"):
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    assert status == "SUCCESS"
    assert project.counted == 2
    seen = project.read()
    assert seen["run"] == run
    assert seen["outputs"] == attributes["outputs"]
    assert project.differences() == set()
    assert [p for p in project.client.data.rglob("*") if p.is_file() and b"planted-secret" in p.read_bytes()] == []

    # A dead daemon is drift; repairing it runs nothing and touches nothing else.
    os.kill(before["daemon"], signal.SIGKILL)
    psutil.wait_procs([psutil.Process(before["daemon"])] if psutil.pid_exists(before["daemon"]) else [], timeout=10)
    assert project.read()["status"] == "stopped"
    assert project.differences() == {"status"}
    assert project.apply()["url"] == attributes["url"]
    assert project.counted == 2
    assert pids(project)["webserver"] == before["webserver"]
    assert pids(project)["daemon"] != before["daemon"]

    # A new secret is in no file, and still reaches the processes; a schedule taken away stops them.
    project.spec["steps"]["count"]["env"]["TOKEN"] = Secret("another-secret")
    project.apply()
    assert psutil.Process(pids(project)["daemon"]).environ()["MLINFRA_SECRET_0"] == "another-secret"
    family = [p for pid in pids(project).values() for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    counted = project.counted
    del project.spec["schedule"]
    assert project.apply()["status"] == "ready"
    assert project.counted == counted
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_web_page_needs_no_daemon_and_goes_with_the_pipeline(project: Project) -> None:
    del project.spec["schedule"]
    project.spec["ui"] = True
    project.spec["run_on_apply"] = False
    attributes = project.apply()
    assert attributes["status"] == "running"
    assert set(pids(project)) == {"webserver"}
    assert project.counted == 0
    page = psutil.Process(pids(project)["webserver"])
    project.delete()
    assert not page.is_running() or page.status() == psutil.STATUS_ZOMBIE
    assert [p for p in project.client.data.rglob("*") if p.is_file()] == []
