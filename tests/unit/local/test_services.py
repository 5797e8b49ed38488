"""Supervised processes: started, found again, never confused with somebody else's, never left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mlinfra.provider.failures import Invalid, Timeout
from mlinfra_local import services
from mlinfra_local.services import ServiceSpec

SERVER = (sys.executable, "-m", "http.server", "--bind", services.HOST, "{port}")
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "services" / "web"
    yield folder
    services.stop(folder, timeout=1)
    assert services.find_strays(folder) == []


def web(**changes: object) -> ServiceSpec:
    settings = {"name": "web", "command": SERVER, "any_port": True, "health": services.answers_http()}
    return ServiceSpec(**{**settings, **changes})  # type: ignore[arg-type]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_dead(process: psutil.Process) -> bool:
    """Gone, or a zombie that its adoptive parent has not waited for yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_started_service_answers_and_is_found_again_by_its_folder(folder: Path) -> None:
    service = services.start(folder, web())
    assert services.answers_http()(service.port)
    assert services.status(folder) == service
    assert services.find_strays(folder) == []
    assert any("GET /" in line for line in services.tail(folder))


def test_stop_ends_the_whole_group_and_forgets_it(folder: Path) -> None:
    parent = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
    )
    service = services.start(folder, ServiceSpec(name="tree", command=(sys.executable, "-c", parent)))
    until(lambda: len(psutil.Process(service.pid).children()) == 1)
    child = psutil.Process(service.pid).children()[0]
    services.stop(folder)
    assert is_dead(child)
    assert not psutil.pid_exists(service.pid)
    assert services.status(folder) is None
    services.stop(folder)


def test_a_process_that_ignores_the_signal_is_killed(folder: Path) -> None:
    ignore = "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path('ready').touch()"
    service = services.start(folder, ServiceSpec(name="deaf", command=(sys.executable, "-c", f"{ignore}; time.sleep(600)")))
    until((folder / "ready").exists)
    services.stop(folder, timeout=0.2)
    assert not psutil.pid_exists(service.pid)


def test_a_process_that_dies_while_starting_is_reported_with_its_last_lines_and_leaves_nothing(folder: Path) -> None:
    command = (sys.executable, "-c", "import sys; print('no such model'); sys.exit(3)")
    with pytest.raises(Invalid, match=r"(?s)exit code 3.*no such model"):
        services.start(folder, web(command=command))
    assert services.status(folder) is None
    assert services.find_strays(folder) == []


def test_a_process_that_never_becomes_healthy_times_out_and_leaves_nothing(folder: Path) -> None:
    with pytest.raises(Timeout, match=r"did not become healthy in 0\.3 seconds"):
        services.start(folder, web(command=SLEEPER), timeout=0.3)
    assert services.status(folder) is None
    assert services.find_strays(folder) == []


def test_a_command_that_does_not_exist_is_refused(folder: Path) -> None:
    with pytest.raises(Invalid, match="cannot start"):
        services.start(folder, web(command=("/nowhere/at-all",)))


def test_a_fixed_port_in_use_is_refused_and_a_preferred_one_gives_way(folder: Path) -> None:
    with socket.socket() as holder:
        holder.bind((services.HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(Invalid, match=f"port {taken} is in use"):
            services.start(folder, web(port=taken, any_port=False))
        assert services.start(folder, web(port=taken)).port != taken


def test_a_service_keeps_its_port_when_it_is_restarted(folder: Path) -> None:
    first = services.start(folder, web())
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: services.status(folder) is None)
    second = services.start(folder, web(port=first.port))
    assert (second.port, second.pid) != (first.port, first.pid)
    assert second.port == first.port


def test_a_stranger_with_the_recorded_pid_is_neither_taken_for_the_service_nor_stopped(folder: Path) -> None:
    stranger = subprocess.Popen(SLEEPER)
    try:
        folder.mkdir(parents=True)
        born = psutil.Process(stranger.pid).create_time()
        record = {"name": "web", "pid": stranger.pid, "port": 0, "started": born - 100, "stop_signal": 15}
        (folder / "service.json").write_text(json.dumps(record))
        assert services.status(folder) is None
        services.stop(folder, timeout=0.1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_crash_left_is_found_by_its_folder_and_replaced_by_the_next_start(folder: Path) -> None:
    lost = services.start(folder, web())
    (folder / "service.json").unlink()
    assert services.status(folder) is None
    assert services.find_strays(folder) == [lost.pid]
    again = services.start(folder, web())
    assert not psutil.pid_exists(lost.pid)
    assert services.find_strays(folder) == []
    assert services.status(folder) == again


def test_the_environment_reaches_the_process_and_no_file(folder: Path) -> None:
    script = "import os, time; print(len(os.environ['TOKEN']), flush=True); time.sleep(600)"
    spec = ServiceSpec(name="web", command=(sys.executable, "-c", script), environment={"TOKEN": "planted-secret"})
    services.start(folder, spec)
    until(lambda: services.tail(folder) == ["14"])
    assert not [p for p in folder.iterdir() if b"planted-secret" in p.read_bytes()]


def test_a_service_whose_project_was_moved_counts_as_stopped_and_is_replaced_at_its_port(folder: Path) -> None:
    before = services.start(folder, web())
    moved = folder.parents[1] / "elsewhere" / "web"
    moved.parent.mkdir()
    folder.rename(moved)
    assert services.status(moved) is None
    try:
        after = services.start(moved, web(port=before.port))
        assert not psutil.pid_exists(before.pid)
        assert after.port == before.port
    finally:
        services.stop(moved, timeout=1)


def test_the_copy_of_a_project_leaves_the_services_of_the_first_one_alone(folder: Path) -> None:
    first = services.start(folder, web())
    copy = folder.parents[1] / "copy" / "web"
    shutil.copytree(folder, copy)
    assert services.status(copy) is None
    try:
        second = services.start(copy, web(port=first.port))
        assert second.port != first.port
        services.stop(copy)
        assert services.status(folder) == first
    finally:
        services.stop(copy, timeout=1)


def test_a_service_whose_folder_was_deleted_is_stopped_all_the_same(folder: Path) -> None:
    lost = services.start(folder, web())
    shutil.rmtree(folder)
    services.stop(folder)
    assert not psutil.pid_exists(lost.pid)
