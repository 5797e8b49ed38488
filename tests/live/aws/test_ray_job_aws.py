"""A training job on a Ray cluster of AWS: submitted to a real Ray head over its HTTP API, its data in moto's S3. The head stands in
for the EC2 machine, by the setting ``ray_dashboard``; the run is used as the engine uses it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, Secret, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Invalid, Timeout
from mlinfra.provider.progress import listening
from mlinfra.provider.runs import ray_api
from mlinfra_aws.client import Aws
from mlinfra_aws.resources.ray_run import RUN
from mlinfra_aws.settings import AwsConfig

pytestmark = [pytest.mark.live, pytest.mark.slow]

TRAIN = """
import json, os, sys, ray
ray.init(log_to_driver=False)
rows = open(os.environ["MLINFRA_INPUT_TRAIN"]).read().split()
squares = ray.get([ray.remote(lambda n: n * n).remote(int(r)) for r in rows])
print("trained on", len(rows), "rows", os.environ["TEAM"])
folder = os.environ["MLINFRA_OUTPUT_MODEL"]
open(folder + "/model.txt", "w").write(f"{sum(squares)} {sys.argv[1:]}")
json.dump({"loss": sum(squares) / 10}, open(folder + "/metrics.json", "w"))
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Any]:
    from live.aws.server import moto_aws
    from live.servers.ray_head import ray_head

    for name, text in {
        "train.py": TRAIN,
        "slow.py": "import time\nprint('begun', flush=True)\ntime.sleep(600)\n",
        "rows.txt": "1 2 3\n",
    }.items():
        (tmp_path / name).write_text(text)
    with moto_aws() as recorded:
        keys = {
            "AWS_ENDPOINT_URL": recorded.url,
            "AWS_ACCESS_KEY_ID": "t",
            "AWS_SECRET_ACCESS_KEY": "t",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with ray_head(keys) as dashboard:
            config = AwsConfig(region="us-east-1", endpoint_url=recorded.url)
            client = Aws(config, ProviderContext(project="p", environment="e", base=tmp_path, data=tmp_path / "data"))
            client.call("s3", "CreateBucket", Bucket="gpus")
            yield SimpleNamespace(client=client, dashboard=dashboard, base=tmp_path)
        assert recorded.invalid == []


def wanted(world: Any, **more: Any) -> Desired:
    code = {"path": ".", "digest": files.digest_files(files.select(world.base, ".", "code")).digest}
    rows = {"path": "rows.txt", "digest": files.digest_files(files.select(world.base, "rows.txt")).digest}
    run = {
        "run": "python train.py",
        "params": {"epochs": 3},
        "inputs": {"train": rows},
        "outputs": ("model",),
        "env": {"TEAM": "ml"},
    }
    where = {"name": "fit", "bucket": "gpus", "dashboard": world.dashboard, "cluster": "gpus"}
    return Desired(address="fit", type="aws.ray_run", attributes=Map(freeze({**where, "code": code, **run, **more})))


def recorded(desired: Desired, observed: Any) -> ResourceState:
    return ResourceState(address="fit", type="aws.ray_run", provider="aws", id=observed.id, attributes=observed.attributes)


def test_a_job_runs_on_the_cluster_and_what_it_leaves_is_kept_by_content(world: Any) -> None:
    client, token, said = world.client, uuid.uuid4().hex, []
    first = wanted(world, expect={"loss": "< 2"})
    assert asyncio.run(RUN.find(client, first, token)) is None
    with listening(said.append):
        made = asyncio.run(RUN.create(client, first, token))
    assert "trained on 3 rows ml" in said
    assert made.attributes["metrics"] == Map(loss=1.4) and made.attributes["status"] == "done"
    uri = str(made.attributes["artifact"])
    assert uri == f"s3://gpus/content/{str(made.attributes['artifact_digest']).removeprefix('sha256:')}"
    body = client.call("s3", "GetObject", Bucket="gpus", Key=f"{uri.removeprefix('s3://gpus/')}/model.txt")["Body"].read()
    assert body == b"14 ['--epochs', '3']"
    state = recorded(first, made)
    assert asyncio.run(RUN.read(client, state)) == made
    assert asyncio.run(RUN.find(client, first, token)) == made  # what a crash after the submission would have left

    # the same again runs nothing
    assert asyncio.run(RUN.update(client, state, first)) == made
    assert len(ray_api.submissions(world.dashboard, "fit-")) == 1

    # a failing job tells its last lines and its exit code
    broken = wanted(world, run="python -c 'print(1/0)'", inputs={})
    with pytest.raises(Invalid, match=r"(?s)exit code 1") as failed:
        asyncio.run(RUN.update(client, state, broken))
    assert world.dashboard in failed.value.hint
    with pytest.raises(Invalid, match="loss"):
        asyncio.run(RUN.update(client, state, wanted(world, expect={"loss": "< 1"})))

    # one that takes too long is stopped
    with pytest.raises(Timeout, match="was stopped"):
        asyncio.run(RUN.update(client, state, wanted(world, run="python slow.py", inputs={}, timeout=3.0)))
    until = time.monotonic() + 120
    while "RUNNING" in ray_api.submissions(world.dashboard, "fit-").values():
        assert time.monotonic() < until
        time.sleep(0.5)

    async def lines() -> list[str]:
        return [line async for line in RUN.logs(client, state, follow=False)]

    assert asyncio.run(lines())
    asyncio.run(RUN.delete(client, state))
    assert ray_api.submissions(world.dashboard, "fit-") == {} and asyncio.run(RUN.read(client, state)) is None


def test_a_secret_would_be_shown_by_ray() -> None:
    assert RUN.validate(Map(env=Map(KEY=Secret("planted-secret"))))[0][0] == ("env", "KEY")
