"""``local.pipeline`` against the real Dagster: what runs, what is found again, and what a failure leaves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pipeline_project import Project

from mlinfra.model.values import Secret
from mlinfra.provider.failures import Invalid, Timeout


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.delete()


def file_of(project: Project, output: str, name: str) -> Path:
    return project.client.path_of(project.read()["outputs"][output]) / name


def test_a_run_gives_outputs_metrics_and_progress_and_then_nothing_is_left_to_do(project: Project) -> None:
    attributes = project.apply()

    assert file_of(project, "clean", "clean.csv").read_text().splitlines() == ["id,label", "1,cat", "2,dog", "3,cat"]
    assert attributes["metrics"] == {"count": 3}
    assert attributes["status"] == "ready"
    assert "clean: read 3 rows" in project.said
    assert project.differences() == set()
    project.apply()
    assert project.counted == 1


def test_a_change_that_cleaning_drops_runs_only_the_cleaning_and_leaves_the_outputs_as_they_are(project: Project) -> None:
    before = project.apply()
    raw = project.base / "raw.csv"
    raw.write_text(raw.read_text().replace("first", "another note"))
    project.said.clear()

    assert project.differences() == {"steps", "fingerprint"}
    after = project.apply()

    assert after["outputs"] == before["outputs"]
    assert project.counted == 1
    assert "clean: read 3 rows" in project.said
    assert any("count: nothing that it depends on changed" in line for line in project.said)


def test_a_change_of_the_data_runs_all_that_reads_it_and_going_back_runs_nothing(project: Project) -> None:
    raw = project.base / "raw.csv"
    before = project.apply()
    old = raw.read_text()
    raw.write_text(old + "4,dog,fourth\n")
    assert project.apply()["metrics"] == {"count": 4}
    assert project.counted == 2

    raw.write_text(old)
    assert project.apply()["outputs"] == before["outputs"]
    assert project.counted == 2


def test_a_step_without_outputs_runs_again_when_its_inputs_go_back_as_its_effect_lies_outside(project: Project) -> None:
    place = project.base / "outside.txt"
    project.spec["steps"] = {
        "fill": {"run": f"sh -c 'cp $MLINFRA_INPUT_RAW {place}; echo x >> {project.diary}'", "inputs": {"raw": "raw.csv"}}
    }
    raw = project.base / "raw.csv"
    first = raw.read_text()
    project.apply()
    raw.write_text(first + "4,dog,fourth\n")
    project.apply()
    raw.write_text(first)
    project.apply()
    assert place.read_text() == first
    assert project.counted == 3
    project.spec["steps"]["fill"]["expect"] = {"rows": 3}
    project.apply()
    assert project.counted == 3


def test_a_broken_expectation_stops_the_run_and_says_what_was_expected_and_found(project: Project) -> None:
    project.spec["steps"]["check"]["expect"] = {"rows": "> 1000", "null_rate(label)": "< 0.01", "min(id)": ">= 2"}

    with pytest.raises(Invalid) as failure:
        project.apply()

    assert failure.value.message == "step check: expected rows > 1000, found 3; expected min(id) >= 2, found 1"
    assert failure.value.path == ("steps", "check", "expect")
    assert project.counted == 0


def test_after_a_failed_step_the_next_apply_runs_the_rest(project: Project) -> None:
    code = project.base / "steps" / "count.py"
    project.spec["steps"]["count"]["params"] = {"fail": 1}
    code.write_text(
        code.read_text() + "\nimport os\nprint('about to fail')\nsys.exit(7 if not os.path.exists(os.environ['OK']) else 0)\n"
    )
    ok = project.base / "ok"
    project.spec["steps"]["count"]["env"]["OK"] = str(ok)

    with pytest.raises(Invalid, match=r"step count: `python count.py` failed with exit code 7:(.|\n)*about to fail"):
        project.apply()
    ok.touch()
    project.said.clear()
    project.apply()

    assert any("clean: nothing that it depends on changed" in line for line in project.said)
    assert project.read()["metrics"] == {"count": 3}


def test_a_failing_update_leaves_the_definition_in_force_as_it_was(project: Project) -> None:
    project.apply()
    folder = project.client.folder("pipelines", "features")
    before = (folder / "definition.json").read_bytes(), (folder / "result.json").read_bytes()
    project.spec["steps"]["clean"]["run"] = "python clean.py --unknown && exit 3"

    with pytest.raises(Invalid):
        project.apply()

    assert ((folder / "definition.json").read_bytes(), (folder / "result.json").read_bytes()) == before
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith("trial")) == []


def test_a_step_is_retried_as_often_as_it_says(project: Project) -> None:
    tries = project.base / "tries"
    project.spec["steps"] = {
        "flaky": {"run": f"sh -c 'echo x >> {tries}; test $(wc -l < {tries}) -ge 3'", "retries": 3},
    }
    project.apply()
    assert len(tries.read_text().splitlines()) == 3


def test_a_step_that_takes_too_long_is_stopped(project: Project) -> None:
    project.spec["steps"] = {"slow": {"run": "sleep 600", "timeout": "200ms"}}
    with pytest.raises(Timeout, match=r"step slow: `sleep 600` was stopped after 0.2 seconds"):
        project.apply()


def test_names_that_dagster_keeps_to_itself_are_fine_for_steps(project: Project) -> None:
    project.spec["steps"] = {
        "input": {"run": "sh -c 'echo 1 > $MLINFRA_OUTPUT_TYPE/x.csv'", "outputs": ["type"]},
        "lambda": {"run": "sh -c 'test -f $MLINFRA_INPUT_TYPE/x.csv'", "needs": ["input"]},
        "keep_results": {"run": "true", "needs": ["lambda"]},
    }
    assert set(project.apply()["outputs"]) == {"type"}


def test_outputs_that_were_deleted_by_hand_are_seen_and_made_again(project: Project) -> None:
    before = project.apply()
    file_of(project, "clean", "clean.csv").unlink()

    assert project.differences() == {"status", "fingerprint"}
    assert project.read()["status"] == "incomplete"
    assert project.apply()["outputs"] == before["outputs"]
    assert project.differences() == set()


def test_with_run_on_apply_off_nothing_runs(project: Project) -> None:
    project.spec["run_on_apply"] = False
    attributes = project.apply()
    assert attributes["outputs"] == {"clean": None, "count": None}
    assert not project.said
    assert project.differences() == set()


def test_code_that_changed_since_the_plan_is_refused(project: Project) -> None:
    desired = project.desired()
    (project.base / "steps" / "clean.py").write_text("print('other')")
    with pytest.raises(Invalid, match="changed since the plan"):
        asyncio.run(project.type.create(project.client, desired, "0" * 32))


def test_secrets_reach_the_step_and_no_file(project: Project) -> None:
    project.spec["steps"]["count"]["env"]["TOKEN"] = Secret("planted-secret")
    project.apply()

    assert "count: token (sensitive)" in project.said
    data = project.client.data
    assert [p for p in data.rglob("*") if p.is_file() and b"planted-secret" in p.read_bytes()] == []
    project.apply()
    assert project.counted == 1
    project.spec["steps"]["count"]["env"]["TOKEN"] = Secret("another-secret")
    project.apply()
    assert project.counted == 2


def test_a_secret_in_a_command_is_refused(project: Project) -> None:
    project.spec["steps"]["count"]["params"] = {"token": Secret("planted-secret")}
    desired = project.desired()
    assert [path for path, _ in project.type.validate(desired.attributes)] == [("steps", "count", "params", "token")]
    with pytest.raises(Invalid, match="a secret cannot stand in params"):
        project.apply()


def test_a_killed_mlinfra_leaves_no_process_and_the_next_apply_runs_the_rest(project: Project) -> None:
    started, go = project.base / "started", project.base / "go"
    wait = f"sh -c 'echo $$ > {started}; test -e {go} || sleep 600'"
    project.spec["steps"]["wait"] = {"run": wait, "needs": ["count"]}
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from pipeline_project import Project
        project = Project(Path({str(project.base)!r}))
        project.spec["steps"]["wait"] = {project.spec["steps"]["wait"]!r}
        project.apply()
    """
    engine = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: (started.exists() and started.read_text().strip()) or engine.poll() is not None)
        assert engine.poll() is None
        family = psutil.Process(engine.pid).children(recursive=True)
        assert int(started.read_text()) in {p.pid for p in family}
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    psutil.wait_procs(family, timeout=30)
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []

    found = asyncio.run(project.type.find(project.client, project.desired(), "0" * 32))
    assert found is not None
    project.remember(found)
    assert found.attributes["status"] == "incomplete"
    go.touch()
    project.apply()
    assert project.counted == 1
    assert project.differences() == set()
    with contextlib.closing(sqlite3.connect(project.client.folder("pipelines", "features") / "dagster/history/runs.db")) as runs:
        assert [status for (status,) in runs.execute("SELECT status FROM runs ORDER BY id")] == ["FAILURE", "SUCCESS"]
    assert asyncio.run(project.type.find(project.client, project.desired(), "1" * 32)) is None


def test_deleting_leaves_nothing(project: Project) -> None:
    project.apply()
    project.delete()
    assert [p for p in project.client.data.rglob("*") if p.is_file()] == []


def test_its_log_is_that_of_the_last_run(project: Project) -> None:
    project.apply()

    async def lines() -> list[str]:
        assert project.recorded is not None
        return [line async for line in project.type.logs(project.client, project.recorded, follow=False)]

    assert "clean: read 3 rows" in asyncio.run(lines())


def test_without_dagster_the_install_command_is_shown(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Invalid, match="dagster is not installed") as failure:
        project.apply()
    assert failure.value.hint == "install it with: pip install 'mlinfra-iac[local]'"


def test_mlinfras_own_process_never_imports_dagster_or_pandas() -> None:
    code = """
import sys, mlinfra_local.resources.pipeline, mlinfra_local.lowering.data_pipeline
print([m for m in ("dagster", "pandas") if m in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def until(condition: object, seconds: float = 60.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
