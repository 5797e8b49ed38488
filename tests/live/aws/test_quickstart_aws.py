"""The quickstart on AWS: planned offline without credentials, applied against moto, changed, drifted, destroyed until nothing is left."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live.aws.work import SageMaker
from live.milvus.world import lite_server

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart"
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def lite_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Milvus beside moto. Of the module, so that no test counts the server as a process that it left behind."""
    with lite_server(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".mlinfra"))
    return folder


def edit(folder: Path, before: str, after: str) -> None:
    file = folder / "mlinfra.yaml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


LIGHT = """
import argparse, json, os, pickle
from pathlib import Path
import pandas as pd
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--algorithm")
parser.add_argument("--C", type=float)
options = parser.parse_args()
digits = pd.read_csv(Path(os.environ["MLINFRA_INPUT_TRAIN"]) / "clean.csv")
model = LogisticRegression(C=options.C, max_iter=50).fit(digits.filter(regex=r"^p\\\\d+$").to_numpy(float) / 16, digits["label"])
folder = Path(os.environ["MLINFRA_OUTPUT_MODEL"])
(folder / "MLmodel").write_text("flavors: {}\\\\n")
(folder / "model.pkl").write_bytes(pickle.dumps((options.algorithm, model.coef_.round(6).tolist())))
score = float(model.score(digits.filter(regex=r"^p\\\\d+$").to_numpy(float) / 16, digits["label"]))
(Path(os.environ["MLINFRA_OUTPUT_REPORT"]) / "metrics.json").write_text(json.dumps({"accuracy": score}))
""".replace("\\\\", "\\")
"""The quickstart's training without MLflow, whose import alone takes most of its time."""


class Stack:
    """The quickstart's folder, and the command called in it for ``--env prod``."""

    def __init__(self, folder: Path, run: Callable[..., Any], environment: dict[str, str]) -> None:
        self.folder, self._run, self._environment = folder, run, environment

    def __call__(self, *words: str, code: int = 0, **environment: str) -> Any:
        done = self._run([*words, "--env", "prod"], self.folder, environment={**self._environment, **environment})
        assert done.code == code, done.text
        return done

    def changes(self, *words: str) -> dict[str, dict[str, Any]]:
        file = self.folder / "plan.json"
        self("plan", "--json-into", str(file), *words)
        ours = [c["mlinfra"] for c in json.loads(file.read_text())["resource_changes"]]
        return {c["address"]: c for c in ours if c.get("action", "no-op") != "no-op"}

    def plans_nothing(self) -> None:
        self("plan", "--detailed-exitcode")


@pytest.fixture
def stack(quickstart: Path, aws_server: Any, run_mlinfra: Callable[..., Any], lite_uri: str) -> Iterator[Stack]:
    (quickstart / "training" / "train.py").write_text(LIGHT)
    settings = f"region: {REGION}, endpoint_url: '{aws_server.url}', milvus_uri: '{lite_uri}'"
    edit(quickstart, "providers: {aws: {region: eu-central-1}}", f"providers: {{aws: {{{settings}}}}}")
    credentials = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    yield Stack(quickstart, run_mlinfra, credentials)


def test_it_is_planned_offline_without_credentials(quickstart: Path, run_mlinfra: Callable[..., Any]) -> None:
    nowhere = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true"}
    done = run_mlinfra(
        ["plan", "--env", "prod", "--no-refresh"], quickstart, environment={**nowhere, "AWS_CONFIG_FILE": "/nowhere"}
    )
    assert done.code == 0, done.text
    assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy\.", done.out)
    assert "USD a month" in done.out and "Price unknown, not in the sum" in done.out
    cost = run_mlinfra(["cost", "--env", "prod", "--json"], quickstart, environment=nowhere)
    assert cost.code == 0, cost.text
    total = json.loads(cost.out)["total"]
    assert total["after"] > 0 and "vectors.data" in total["unknown"]


def test_it_is_applied_changed_mended_and_destroyed(stack: Stack, aws_server: Any, boto: Any, tmp_path: Path) -> None:
    work = SageMaker(aws_server, REGION, tmp_path / "work")
    sagemaker, s3 = boto("sagemaker", REGION), boto("s3", REGION)
    applied = stack("apply", "--yes")
    outputs = json.loads(stack("output", "--json").out)
    assert outputs["accuracy"]["value"] >= 0.9, applied.text
    assert outputs["predict_url"]["value"].startswith("https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/")
    assert sorted(name.rpartition("-")[0] or name for name in work.runs) == [
        "check", "clean", "embed", "quickstart-prod-fit-logistic", "quickstart-prod-fit-svm",
    ]  # fmt: skip
    stack.plans_nothing()

    # traffic changes in place: no new configuration, no new model
    endpoint = sagemaker.describe_endpoint(EndpointName="quickstart-prod-api")
    edit(stack.folder, "default: 10", "default: 25")
    assert {a: c["action"] for a, c in stack.changes().items()} == {"api": "update"}
    aws_server.forget()
    stack("apply", "--yes")
    assert aws_server.counted()["sagemaker:UpdateEndpointWeightsAndCapacities"] == 1
    assert aws_server.counted()["sagemaker:UpdateEndpoint"] == 0
    now = sagemaker.describe_endpoint(EndpointName="quickstart-prod-api")
    assert now["EndpointConfigName"] == endpoint["EndpointConfigName"]
    assert {v["VariantName"]: v["CurrentWeight"] for v in now["ProductionVariants"]} == {"champion": 75, "challenger": 25}
    stack.plans_nothing()

    # another parameter: one job runs, its version is made anew, the endpoint rolls by a new configuration
    edit(stack.folder, "default: 0.05", "default: 0.5")
    planned = stack.changes()
    assert planned["fit_logistic"]["runs"] and "fit_svm" not in planned and "features" not in planned
    aws_server.forget()
    stack("apply", "--yes")
    assert [name.rpartition("-")[0] for name in work.runs[5:]] == ["quickstart-prod-fit-logistic"]
    assert aws_server.counted()["sagemaker:UpdateEndpoint"] == 1
    rolled = sagemaker.describe_endpoint(EndpointName="quickstart-prod-api")
    assert rolled["EndpointConfigName"] != endpoint["EndpointConfigName"]
    assert {v["VariantName"]: v["CurrentWeight"] for v in rolled["ProductionVariants"]} == {"champion": 75, "challenger": 25}
    assert len(sagemaker.list_models()["Models"]) == 2 and len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1
    stack.plans_nothing()

    # drift: versioning switched off, a dataset's object gone, an endpoint moved to a foreign configuration
    s3.put_bucket_versioning(Bucket="quickstart-prod-raw", VersioningConfiguration={"Status": "Suspended"})
    dataset = next(
        r["Key"] for r in s3.list_objects_v2(Bucket="quickstart-prod-raw")["Contents"] if r["Key"].endswith("digits.csv")
    )
    s3.delete_object(Bucket="quickstart-prod-raw", Key=dataset)
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=rolled["EndpointConfigName"])["ProductionVariants"]
    sagemaker.create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=variants[:1])
    sagemaker.update_endpoint(EndpointName="quickstart-prod-api", EndpointConfigName="by-hand")
    drifted = stack("plan").out
    assert "raw (aws.s3_bucket) differs from what was recorded" in drifted
    assert "scans (aws.dataset) differs" in drifted and "api (aws.sagemaker_endpoint) differs" in drifted
    stack("apply", "--yes")
    assert s3.get_bucket_versioning(Bucket="quickstart-prod-raw")["Status"] == "Enabled"
    assert sagemaker.describe_endpoint(EndpointName="quickstart-prod-api")["EndpointConfigName"] == rolled["EndpointConfigName"]
    stack.plans_nothing()
    sagemaker.delete_endpoint_config(EndpointConfigName="by-hand")

    # nothing is destroyed by accident, and nothing is left behind on purpose
    refused = stack("destroy", "--yes", code=1)
    assert "protect" in refused.err
    stack("destroy", "--yes", "--allow-data-loss")
    assert left_behind(boto) == {}


def left_behind(boto: Any) -> dict[str, list[Any]]:
    """Everything that a person would find in the account."""
    sagemaker, ec2 = boto("sagemaker", REGION), boto("ec2", REGION)
    found = {
        "buckets": boto("s3", REGION).list_buckets()["Buckets"],
        "roles": boto("iam").list_roles()["Roles"],
        "profiles": boto("iam").list_instance_profiles()["InstanceProfiles"],
        "models": sagemaker.list_models()["Models"],
        "configs": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "endpoints": sagemaker.list_endpoints()["Endpoints"],
        "groups": sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"],
        "pipelines": sagemaker.list_pipelines()["PipelineSummaries"],
        "volumes": ec2.describe_volumes()["Volumes"],
        "machines": [
            i["InstanceId"]
            for r in ec2.describe_instances()["Reservations"]
            for i in r["Instances"]
            if i["State"]["Name"] != "terminated"
        ],
        "firewalls": [g["GroupName"] for g in ec2.describe_security_groups()["SecurityGroups"] if g["GroupName"] != "default"],
    }
    return {name: rows for name, rows in found.items() if rows}
