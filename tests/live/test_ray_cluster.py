"""A real Ray head on this host, and jobs on it. Needs ray[default], which is an extra of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("ray", reason="ray is not installed: pip install 'mlinfra-iac[ray]'")
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "local"))

from local_world import Bench, attributes, make_client

from mlinfra.model.values import Secret
from mlinfra.provider.failures import Invalid
from mlinfra_local import ray_head
from mlinfra_local.client import LocalClient

pytestmark = [pytest.mark.live, pytest.mark.slow]

SHOW = """
import os, ray
ray.init(log_to_driver=False)
resources = ray.cluster_resources()
answer = ray.get(ray.remote(lambda: 6 * 7).remote())
print("the key is", os.environ["KEY"])
open(os.environ["MLINFRA_OUTPUT_MODEL"] + "/answer", "w").write(f"{answer} {resources['CPU']:g} {os.environ['KEY'][:7]}")
"""


@pytest.fixture
def client(tmp_path: Path) -> LocalClient:
    return make_client(tmp_path)


def cluster(client: LocalClient, **more: Any) -> Any:
    spec = {"engine": "ray", "resources": {"cpus": 1}, **more}
    return attributes(client, "training_cluster", spec, "gpus")


def test_a_ray_head_lives_and_its_jobs_run_on_it(client: LocalClient) -> None:
    bench = Bench(client, "local.cluster", "gpus")
    try:
        seen = bench.create(**cluster(client))
        assert seen.attributes["status"] == "ready" and seen.attributes["address"].startswith("127.0.0.1:")
        assert bench.read() == seen
        assert bench.update(**cluster(client)) == seen

        (client.base / "show.py").write_text(SHOW)
        fit = Bench(client, "local.job", "fit")
        spec = {"run": "python show.py", "env": {"KEY": Secret("planted-by-the-test")}}
        asked = {**attributes(client, "training_job", spec, "fit"), "cluster": "gpus"}
        result = fit.create(**asked)
        assert (client.path_of(result.attributes["artifact"]) / "answer").read_text() == "42 1 planted"
        places = [client.data, ray_head.temporary_folder(client, "gpus")]
        assert [p for f in places for p in f.rglob("*") if p.is_file() and holds(p, b"planted-by-the-test")] == []

        asked = {**attributes(client, "training_job", {"run": "python -c 'print(1/0)'"}, "fit"), "cluster": "gpus"}
        with pytest.raises(Invalid, match=r"(?s)exit code 1.*ZeroDivisionError"):
            fit.update(**asked)

        cancel(client, fit)

        kill_head(client)
        dead = bench.read()
        assert dead is not None and dead.attributes["status"] == "stopped"
        assert bench.update(**cluster(client)).attributes["status"] == "ready"
    finally:
        if bench.state is not None:
            bench.delete()
    assert ray_head.find(client, "gpus") is None
    assert not ray_head.temporary_folder(client, "gpus").exists()
    assert bench.read() is None


def cancel(client: LocalClient, fit: Bench) -> None:
    """A cancelled job ends, on the cluster too."""
    file = client.base.parent / "pid"
    (client.base / "sleep.py").write_text(
        "import os, sys, time\nopen(sys.argv[1] + '.new', 'w').write(str(os.getpid()))\n"
        "os.rename(sys.argv[1] + '.new', sys.argv[1])\ntime.sleep(600)"
    )
    asked = {**attributes(client, "training_job", {"run": f"python sleep.py {file}"}, "fit"), "cluster": "gpus"}

    async def cancelled() -> None:
        task = asyncio.create_task(fit.kind.update(client, fit.recorded, fit.desired(asked)))
        while not file.exists() and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(file.read_text())).wait(20)


def kill_head(client: LocalClient) -> None:
    from mlinfra_local import services

    running = services.status(client.folder("services", "ray-gpus"))
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(running.pid).wait(10)


def holds(file: Path, text: bytes) -> bool:
    with contextlib.suppress(OSError):
        return text in file.read_bytes()
    return False
