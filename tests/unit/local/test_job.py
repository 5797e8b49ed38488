"""Training jobs on this host, with a real scikit-learn training."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from local_world import Bench, attributes, lowered, make_client

from mlinfra.model.errors import PlanError
from mlinfra.model.resource import Observed, ResourceState
from mlinfra.model.values import UNKNOWN, Map, Secret
from mlinfra.provider.failures import Invalid, NotFound
from mlinfra_local.client import LocalClient

SCIKIT = """
import argparse, json, os, pathlib
import numpy
from sklearn.linear_model import LogisticRegression

table = numpy.loadtxt(os.environ["MLINFRA_INPUT_TRAIN"], delimiter=",")
model = LogisticRegression(C=1.0).fit(table[:, :-1], table[:, -1])
out = pathlib.Path(os.environ["MLINFRA_OUTPUT_MODEL"])
numpy.save(out / "coefficients.npy", model.coef_)
(out / "metrics.json").write_text(json.dumps({"accuracy": float(model.score(table[:, :-1], table[:, -1]))}))
"""
TRAIN = """
import argparse, json, os, pathlib
options = argparse.ArgumentParser()
options.add_argument("--C", type=float, default=1.0)
options = options.parse_args()
rows = [[float(x) for x in line.split(",")] for line in open(os.environ["MLINFRA_INPUT_TRAIN"])]

def ridge(points, C):
    middle = [sum(column) / len(points) for column in zip(*points)]
    apart = [(x - middle[0], y - middle[1]) for x, y in points]
    return sum(x * y for x, y in apart) / (sum(x * x for x, _ in apart) + 1 / C), middle

slope, (x0, y0) = ridge([(row[0], row[-1]) for row in rows], C=options.C)
accuracy = sum((y0 + slope * (row[0] - x0) > 0.5) == (row[-1] > 0.5) for row in rows) / len(rows)
out = pathlib.Path(os.environ["MLINFRA_OUTPUT_MODEL"])
(out / "model.json").write_text(json.dumps([slope, x0, y0]))
(out / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
open(pathlib.Path(os.environ["COUNTER"]), "a").write("x")
print(f"accuracy {accuracy}")
"""
"""What it takes to import scikit-learn is two seconds: once is enough."""


@pytest.fixture
def client(tmp_path: Path) -> LocalClient:
    client = make_client(tmp_path)
    client.excluded = ("data.csv",)
    (client.base / "train.py").write_text(TRAIN)
    (client.base / "data.csv").write_text("\n".join(f"{i},{i % 3},{int(i > 10)}" for i in range(20)))
    return client


@pytest.fixture
def fit(client: LocalClient) -> Bench:
    return Bench(client, "local.job", "fit")


def wanted(client: LocalClient, **more: Any) -> Map:
    counter = str(client.base.parent / "counter")
    spec = {"run": "python train.py", "inputs": {"train": "data.csv"}, "env": {"COUNTER": counter, **more.pop("env", {})}, **more}
    return attributes(client, "training_job", spec, "fit")


def runs(client: LocalClient) -> int:
    counter = client.base.parent / "counter"
    return len(counter.read_text()) if counter.exists() else 0


def test_a_training_gives_a_model_its_digest_and_its_metrics(client: LocalClient, fit: Bench) -> None:
    (client.base / "train.py").write_text(SCIKIT)
    seen = fit.create(**wanted(client))
    found = seen.attributes
    assert found["artifact"] == found["results"]["model"] and found["artifact"].startswith("local://runs/fit/outputs/")
    assert (client.path_of(found["artifact"]) / "coefficients.npy").exists()
    assert found["artifact_digest"].startswith("sha256:")
    assert found["metrics"]["accuracy"] > 0.9
    assert fit.read() == seen


def test_nothing_runs_while_the_fingerprint_is_the_same(client: LocalClient, fit: Bench) -> None:
    first = fit.create(**wanted(client))
    assert fit.update(**wanted(client)) == first
    assert fit.update(**wanted(client, timeout="5m")).attributes["artifact"] == first.attributes["artifact"]
    assert runs(client) == 1


@pytest.mark.parametrize("change", ["params", "code", "input", "env", "command"])
def test_whatever_a_run_depends_on_makes_it_run_again_and_going_back_does_not(
    client: LocalClient, fit: Bench, change: str
) -> None:
    old = wanted(client)
    first = fit.create(**old)
    more: dict[str, Any] = {}
    if change == "params":
        more = {"params": {"C": 0.001}}
    elif change == "code":
        (client.base / "train.py").write_text(TRAIN.replace("C=options.C", "C=0.01"))
    elif change == "input":
        (client.base / "data.csv").write_text("\n".join(f"{i},{i % 5},{int(i > 8)}" for i in range(20)))
    elif change == "env":
        more = {"env": {"MODE": "x"}}
    else:
        more = {"run": "python train.py --C 0.5"}
    second = fit.update(**wanted(client, **more))
    assert runs(client) == 2
    assert second.attributes["fingerprint"] != first.attributes["fingerprint"]
    assert (second.attributes["artifact"] == first.attributes["artifact"]) == (change == "env")
    shutil.rmtree(client.base)
    client.base.mkdir()
    assert fit.update(**old) == first
    assert runs(client) == 2


def test_bytes_that_changed_since_the_plan_are_refused(client: LocalClient, fit: Bench) -> None:
    planned = wanted(client)
    (client.base / "data.csv").write_text("1,2,3")
    with pytest.raises(Invalid, match=r"the input train \(data.csv\) changed since the plan was made"):
        fit.create(**planned)
    assert runs(client) == 0


def test_results_that_are_gone_are_seen_and_made_again(client: LocalClient, fit: Bench) -> None:
    asked = wanted(client)
    first = fit.create(**asked)
    predict = fit.kind.schema.predict
    assert predict is not None and predict(asked) == {"id": "fit", "status": "done"}
    shutil.rmtree(client.path_of(first.attributes["artifact"]))
    seen = fit.read()
    assert seen is not None and seen.attributes["status"] == "lost"
    assert fit.update(**asked) == first
    assert runs(client) == 2


def test_deleting_leaves_nothing(client: LocalClient, fit: Bench) -> None:
    fit.create(**wanted(client, env={"KEY": Secret("planted")}))
    fit.delete()
    fit.delete()
    assert fit.read() is None
    assert not client.data.exists() or list(client.data.iterdir()) == []


def test_a_crash_after_the_run_is_found_by_its_token(client: LocalClient, fit: Bench) -> None:
    asked = wanted(client)
    assert fit.find("t1", **asked) is None
    seen = fit.create("t1", **asked)
    assert fit.find("t1", **asked) == seen
    assert fit.find("t2", **asked) is None
    assert fit.create("t3", **asked) == seen
    assert runs(client) == 1


def test_two_jobs_run_side_by_side(client: LocalClient) -> None:
    meet = "import os, time\nmine, other = os.environ['MINE'], os.environ['OTHER']\nopen(mine, 'w').close()\n"
    meet += "deadline = time.time() + 60\nwhile not os.path.exists(other) and time.time() < deadline: time.sleep(0.01)\n"
    meet += "open(os.environ['MLINFRA_OUTPUT_MODEL'] + '/met', 'w').write(str(os.path.exists(other)))\n"
    (client.base / "meet.py").write_text(meet)
    names = [str(client.base.parent / n) for n in ("a", "b")]

    async def both() -> list[Observed]:
        work = []
        for index in range(2):
            spec = {"run": "python meet.py", "env": {"MINE": names[index], "OTHER": names[1 - index]}}
            bench = Bench(client, "local.job", f"job{index}")
            desired = bench.desired(attributes(client, "training_job", spec, f"job{index}"))
            work.append(bench.kind.create(client, desired, f"{index}"))
        return list(await asyncio.gather(*work))

    met = [client.path_of(seen.attributes["artifact"]) / "met" for seen in asyncio.run(both())]
    assert [file.read_text() for file in met] == ["True", "True"]


def test_a_secret_moves_the_fingerprint_and_is_written_nowhere(client: LocalClient, fit: Bench) -> None:
    first = fit.create(**wanted(client, env={"KEY": Secret("planted-1")}))
    second = fit.update(**wanted(client, env={"KEY": Secret("planted-2")}))
    assert first.attributes["fingerprint"] != second.attributes["fingerprint"]
    assert fit.update(**wanted(client, env={"KEY": Secret("planted-1")})) == first
    assert [p for p in client.data.rglob("*") if p.is_file() and b"planted" in p.read_bytes()] == []


@pytest.mark.parametrize("place", ["run", "params", "inputs"])
def test_a_secret_on_a_command_line_is_refused_when_planning(client: LocalClient, fit: Bench, place: str) -> None:
    asked = {**wanted(client), place: Secret("x") if place == "run" else Map(k=Secret("x"))}
    problems = fit.kind.validate(Map(asked))  # type: ignore[attr-defined]
    assert [path[0] for path, _ in problems] == [place]
    assert fit.kind.validate(Map({**asked, place: UNKNOWN})) == []  # type: ignore[attr-defined]


def test_expectations_hold_or_the_run_is_not_kept(client: LocalClient, fit: Bench) -> None:
    with pytest.raises(Invalid, match=r"expected accuracy >= 1.5, found") as caught:
        fit.create(**wanted(client, expect={"accuracy": ">= 1.5"}))
    assert caught.value.path == ("expect",)
    fit.create(**wanted(client, expect={"accuracy": ">= 0.9"}))
    with pytest.raises(Invalid, match="expected accuracy > 2"):
        fit.update(**wanted(client, expect={"accuracy": "> 2"}))
    assert runs(client) == 2


def test_parameters_become_a_command_line(client: LocalClient, fit: Bench) -> None:
    (client.base / "show.py").write_text(
        "import json, os, sys; json.dump(sys.argv[1:], open(os.environ['MLINFRA_OUTPUT_MODEL'] + '/a', 'w'))"
    )
    params = {"C": 0.5, "name": "a b", "flag": True, "layers": [1, 2], "off": None, "map": {"k": 1}}
    seen = fit.create(**wanted(client, run="python show.py", params=params, inputs={}))
    shown = json.loads((client.path_of(seen.attributes["artifact"]) / "a").read_text())
    assert shown == ["--C", "0.5", "--name", "a b", "--flag", "true", "--layers", "1", "2", "--map", '{"k": 1}']


def test_a_job_that_waits_runs_only_when_it_may(client: LocalClient, fit: Bench) -> None:
    seen = fit.create(**wanted(client, run_on_apply=False))
    assert (seen.attributes["status"], seen.attributes["artifact"], runs(client)) == ("deferred", None, 0)
    assert fit.read() == seen
    assert fit.update(**wanted(client)).attributes["status"] == "done"
    assert fit.update(**wanted(client, run_on_apply=False)).attributes["status"] == "done"


def test_a_job_sees_the_gpus_of_its_cluster_and_needs_its_reservation(client: LocalClient, fit: Bench) -> None:
    asked = {**wanted(client, run="python show.py", inputs={}), "cluster": "gpus"}
    (client.base / "show.py").write_text("import os; open(os.environ['MLINFRA_OUTPUT_MODEL'] + '/x', 'w').write('1')")
    asked |= {"code": attributes(client, "training_job", {"run": "x"})["code"]}
    with pytest.raises(NotFound, match="nothing is reserved for the cluster gpus"):
        fit.create(**asked)
    cluster = Bench(client, "local.cluster", "gpus")
    cluster.create(**attributes(client, "training_cluster", {"resources": {"cpus": 1}}, "gpus"))
    assert fit.create(**asked).attributes["status"] == "done"


def test_a_job_that_failed_can_be_looked_at_and_deleted(client: LocalClient, fit: Bench) -> None:
    with pytest.raises(Invalid, match="exit code 2") as caught:
        fit.create("t1", **wanted(client, params={"C": "text"}, run="python train.py --no-such"))
    half = caught.value.partial
    assert half is not None and half.attributes["status"] == "failed"
    fit.state = ResourceState(
        address="fit", type="local.job", provider="local", id=half.id, attributes=half.attributes, tainted=True
    )
    assert fit.read() == half
    assert fit.find("t1", **wanted(client)) is None
    fit.delete()
    assert list(client.data.iterdir()) == []


def test_its_log_can_be_read(client: LocalClient, fit: Bench) -> None:
    fit.create(**wanted(client))

    async def read() -> list[str]:
        return [line async for line in fit.kind.logs(client, fit.recorded, follow=False)]  # type: ignore[attr-defined]

    assert asyncio.run(read())[-1].startswith("accuracy ")


def test_an_image_is_refused_when_planning(client: LocalClient) -> None:
    with pytest.raises(PlanError, match="the local target runs no images"):
        lowered(client, "training_job", {"run": "x", "image": "torch:2"})
