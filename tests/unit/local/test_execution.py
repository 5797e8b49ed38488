"""Running the user's code: what it sees, what is kept, and that nothing of it outlives its starter."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from local_world import make_client, run

from mlinfra.model.values import Secret
from mlinfra.provider import files
from mlinfra.provider.failures import Invalid, Timeout
from mlinfra.provider.progress import listening
from mlinfra_local import execution
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import RunRequest, RunResult, store

FP = "ab" * 32


@pytest.fixture
def client(tmp_path: Path) -> LocalClient:
    return make_client(tmp_path)


def request(client: LocalClient, script: str, *, fingerprint: str = FP, name: str = "job", **more: Any) -> RunRequest:
    work = client.base / "work"
    work.mkdir(exist_ok=True)
    (work / "main.py").write_text(script)
    return RunRequest(
        name=name, fingerprint=fingerprint, workdir=work, **{"command": "python main.py", "outputs": ("model",), **more}
    )


WRITE = "import os, pathlib; out = pathlib.Path(os.environ['MLINFRA_OUTPUT_MODEL'])\n"


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def contents(client: LocalClient, result: RunResult, output: str = "model") -> dict[str, str]:
    folder = client.path_of(result.outputs[output].uri)
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_command_sees_its_inputs_parameters_and_environment(client: LocalClient) -> None:
    data = client.folder("buckets", "raw") / "x.csv"
    data.parent.mkdir(parents=True)
    data.write_text("1,2")
    script = WRITE + (
        "import sys, json\n"
        "seen = [open(os.environ['MLINFRA_INPUT_TRAIN_SET']).read(), os.environ['MLINFRA_INPUT_REMOTE'], sys.argv[1:], "
        "os.environ['A'], sys.prefix, os.path.exists('main.py')]\n"
        "(out / 'seen.json').write_text(json.dumps(seen))\n"
    )
    inputs = {"train-set": "local://buckets/raw/x.csv", "remote": "s3://b/k"}
    result = run(
        execution.run(client, request(client, script, inputs=inputs, arguments=("--C", "two words"), environment={"A": "1"}))
    )
    seen = json.loads(contents(client, result)["seen.json"])
    assert seen == ["1,2", "s3://b/k", ["--C", "two words"], "1", sys.prefix, True]


def test_the_same_fingerprint_never_runs_twice(client: LocalClient, tmp_path: Path) -> None:
    script = WRITE + f"open({str(tmp_path / 'ran')!r}, 'a').write('x'); (out / 'm').write_text('1')"

    async def twice_at_once() -> list[RunResult]:
        return list(await asyncio.gather(*(execution.run(client, request(client, script)) for _ in range(2))))

    one, two = run(twice_at_once())
    assert (tmp_path / "ran").read_text() == "x"
    assert {one.reused, two.reused} == {True, False}
    assert one.outputs == two.outputs
    assert run(execution.run(client, request(client, script, fingerprint="cd" * 32))).outputs == one.outputs
    assert (tmp_path / "ran").read_text() == "xx"


def test_a_result_that_was_touched_is_made_again(client: LocalClient) -> None:
    wanted = request(client, WRITE + "(out / 'm').write_text('1')")
    first = run(execution.run(client, wanted))
    file = client.path_of(first.outputs["model"].uri) / "m"
    file.write_text("2")
    assert execution.recall(client, "job", FP) is None
    again = run(execution.run(client, wanted))
    assert (again.reused, again.outputs, file.read_text()) == (False, first.outputs, "1")


def test_a_failed_command_says_its_last_lines_and_leaves_nothing(client: LocalClient) -> None:
    script = WRITE + "(out / 'm').write_text('1')\nfor i in range(50): print('line', i)\nraise SystemExit(3)"
    with pytest.raises(Invalid) as caught:
        run(execution.run(client, request(client, script)))
    assert "exit code 3" in caught.value.message
    assert "line 49" in caught.value.message and "line 30" in caught.value.message and "line 29\n" not in caught.value.message
    assert execution.recall(client, "job", FP) is None
    folder = client.folder("runs", "job")
    assert not (folder / "tmp").exists() and not (folder / "outputs").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("", "wrote nothing to its output model"),
        (WRITE + "(out / 'metrics.json').write_text('{')", "metrics.json in the output model is no JSON"),
        (WRITE + "(out / 'metrics.json').write_text('[1]')", "must be an object"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
    ],
)
def test_a_run_that_does_not_keep_its_promise_is_refused(client: LocalClient, script: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        run(execution.run(client, request(client, script)))
    assert execution.recall(client, "job", FP) is None


def test_metrics_of_all_outputs_come_back(client: LocalClient) -> None:
    script = (
        "import os\n"
        "for n, t in (('A', '{\"loss\": NaN, \"f1\": 0.5}'), ('B', '{\"steps\": 3}')):\n"
        "    open(os.environ[f'MLINFRA_OUTPUT_{n}'] + '/metrics.json', 'w').write(t)\n"
    )
    result = run(execution.run(client, request(client, script, outputs=("a", "b"))))
    assert result.metrics == {"loss": None, "f1": 0.5, "steps": 3}


def test_a_program_that_is_not_there_is_named(client: LocalClient) -> None:
    with pytest.raises(Invalid, match=r"(?s)exit code 127.*cannot start no-such-program: No such file"):
        run(execution.run(client, request(client, "", command="no-such-program --x")))


def test_secrets_reach_the_process_and_nothing_else(client: LocalClient) -> None:
    secret = "hunter2-planted"
    script = WRITE + (
        "print('my key is', os.environ['KEY'])\nimport hashlib\n"
        "(out / 'd').write_text(hashlib.md5(os.environ['KEY'].encode()).hexdigest())\nraise SystemExit(os.environ['CODE'])"
    )
    said: list[str] = []
    wanted = request(client, script, environment={"KEY": Secret(secret), "CODE": "1"})
    with listening(said.append), pytest.raises(Invalid) as caught:
        run(execution.run(client, wanted))
    assert said == ["my key is (sensitive)", "1"]
    assert secret not in caught.value.message
    written = [p for p in client.data.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    assert written == []


def test_the_key_of_a_runs_secrets_stays(client: LocalClient) -> None:
    key = execution.secret_key(client, "job")
    assert execution.secret_key(client, "job") == key != execution.secret_key(client, "other")


def test_all_ranks_know_each_other(client: LocalClient) -> None:
    script = WRITE + (
        "r = os.environ\nprint('hello')\n"
        "(out / r['MLINFRA_RANK']).write_text(' '.join([r['MLINFRA_WORLD_SIZE'], r['MASTER_ADDR'], r['MASTER_PORT']]))"
    )
    said: list[str] = []
    with listening(said.append):
        result = run(execution.run(client, request(client, script, processes=3)))
    found = contents(client, result)
    assert sorted(found) == ["0", "1", "2"] and len(set(found.values())) == 1
    assert found["0"].startswith("3 127.0.0.1 ")
    assert sorted(said) == ["[0] hello", "[1] hello", "[2] hello"]


def test_a_rank_that_fails_takes_the_others_down(client: LocalClient, tmp_path: Path) -> None:
    script = f"import os, time\nif os.environ['RANK'] == '1': raise SystemExit(7)\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"  # noqa: E501
    with pytest.raises(Invalid, match="exit code 7"):
        run(execution.run(client, request(client, script, processes=2)))
    pid = tmp_path / "pid"
    assert not pid.exists() or not alive(int(pid.read_text()))


SLEEPER = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "open(sys.argv[1] + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
    "os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
    "time.sleep(600)\n"
)


def test_cancelling_kills_the_command_and_its_children(client: LocalClient, tmp_path: Path) -> None:
    file = tmp_path / "pids"

    async def cancelled() -> None:
        task = asyncio.create_task(execution.run(client, request(client, SLEEPER, arguments=(str(file),))))
        while not file.exists() and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    pids = [int(p) for p in file.read_text().split()]
    wait_until(lambda: not any(map(alive, pids)), "the command's end")
    assert not (client.folder("runs", "job") / "tmp").exists()


def test_a_run_that_takes_too_long_is_stopped(client: LocalClient, tmp_path: Path) -> None:
    with pytest.raises(Timeout, match=r"stopped after 0\.5 seconds"):
        run(execution.run(client, request(client, "import time; time.sleep(600)", timeout=0.5)))


def test_when_mlinfra_is_killed_its_commands_end_and_the_next_run_cleans_up(client: LocalClient, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    wanted = request(client, SLEEPER, arguments=(str(file),))
    starter = tmp_path / "starter.py"
    starter.write_text(
        "import asyncio, sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[3])\n"
        "from local_world import make_client\nfrom mlinfra_local.execution import RunRequest, run\n"
        "client = make_client(Path(sys.argv[1]))\n"
        f"asyncio.run(run(client, RunRequest(name='job', fingerprint={FP!r}, workdir=client.base / 'work',"
        " command='python main.py', arguments=(sys.argv[2],), outputs=('model',))))\n"
    )
    here = str(Path(__file__).parent)
    parent = subprocess.Popen([sys.executable, str(starter), str(tmp_path), str(file), here])
    wait_until(lambda: file.exists() or parent.poll() is not None, "the command's start")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    pids = [int(p) for p in file.read_text().split()]
    wait_until(lambda: not any(map(alive, pids)), "the command's end")
    assert execution.recall(client, "job", FP) is None
    (client.base / "work" / "main.py").write_text(WRITE + "(out / 'm').write_text('1')")
    result = run(execution.run(client, wanted))
    assert not result.reused
    assert not (client.folder("runs", "job") / "tmp").exists()


def test_an_output_of_links_is_kept_as_files(client: LocalClient, tmp_path: Path) -> None:
    (tmp_path / "big").write_text("weights")
    result = run(execution.run(client, request(client, WRITE + f"(out / 'm').symlink_to({str(tmp_path / 'big')!r})")))
    (tmp_path / "big").unlink()
    assert contents(client, result) == {"m": "weights"}


def test_accept_can_refuse_a_run_and_add_metrics(client: LocalClient) -> None:
    wanted = request(client, WRITE + "(out / 'm').write_text('1')", accept=lambda outputs, metrics: {"files": len(list(outputs))})
    assert run(execution.run(client, wanted)).metrics == {"files": 1}

    def refuse(outputs: object, metrics: object) -> dict[str, Any]:
        raise Invalid("too few rows")

    with pytest.raises(Invalid, match="too few rows"):
        run(execution.run(client, request(client, WRITE + "(out / 'm').write_text('1')", fingerprint="cd" * 32, accept=refuse)))
    assert execution.recall(client, "job", "cd" * 32) is None


def test_packed_code_outlives_its_source_and_a_change_since_the_plan_is_refused(client: LocalClient) -> None:
    (client.base / "train.py").write_text("old")
    old = files.digest(client.base, ".", "code").digest
    folder = execution.pack(client, ".", old, "job")
    (client.base / "train.py").write_text("new")
    assert execution.pack(client, ".", old, "job") == folder
    assert (folder / "train.py").read_text() == "old"
    planned = files.digest(client.base, ".", "code").digest
    (client.base / "train.py").write_text("newer")
    with pytest.raises(Invalid, match="changed since the plan was made") as caught:
        execution.pack(client, ".", planned, "job")
    assert caught.value.hint == "plan again"


def test_what_runs_share_goes_with_the_last_of_them(client: LocalClient) -> None:
    (client.base / "train.py").write_text("x")
    digest = files.digest(client.base, ".", "code").digest
    folder = execution.pack(client, ".", digest, "one")
    execution.pack(client, ".", digest, 'item["b/c"]')
    execution.forget(client, "one")
    assert folder.exists()
    execution.release(client, 'item["b/c"]')
    assert not client.data.exists() or not any(client.data.iterdir())


def test_code_that_writes_beside_itself_does_not_spoil_the_pack(client: LocalClient) -> None:
    (client.base / "train.py").write_text(WRITE + "(out / 'm').write_text('1'); open('cache', 'w').write('x')")
    digest = files.digest(client.base, ".", "code").digest
    folder = execution.pack(client, ".", digest, "job")
    wanted = RunRequest(name="job", fingerprint=FP, workdir=folder, command="python train.py", outputs=("model",))
    run(execution.run(client, wanted))
    kept = store.check(folder.parent, digest)
    assert kept is not None and kept.digest == digest


@pytest.mark.slow
def test_requirements_make_an_environment_of_their_own_once(client: LocalClient) -> None:
    wanted = request(client, WRITE + "import sys; (out / 'p').write_text(sys.prefix)", requirements=("pip",))
    prefix = contents(client, run(execution.run(client, wanted)))["p"]
    assert Path(prefix).is_relative_to(client.data.resolve())
    said: list[str] = []
    with listening(said.append):
        again = request(
            client, WRITE + "import sys; (out / 'p').write_text(sys.prefix)", requirements=("pip",), fingerprint="cd" * 32
        )
        assert contents(client, run(execution.run(client, again)))["p"] == prefix
    assert said == []
    execution.forget(client, "job")
    assert not Path(prefix).exists()


def test_uris_never_leave_the_data_folder(client: LocalClient) -> None:
    inside = client.folder("runs", "job") / "outputs" / "x"
    assert client.path_of(client.uri_of(inside)) == inside
    assert client.uri_of(inside) == "local://runs/job/outputs/x"
    for bad in ("local://../../etc/passwd", "s3://bucket/key"):
        with pytest.raises(Invalid):
            client.path_of(bad)
    with pytest.raises(Invalid):
        client.folder("runs", "../../x")
