"""What SageMaker does with a job that moto only notes down: it brings the inputs, runs the container's command, takes the outputs.

The command that the request names runs here as a process, with ``/opt/ml`` moved to a folder of its own; places are those that SageMaker's
documentation promises to containers. A definition that would not run there does not run here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from live.aws.gaps import ACCOUNT
from moto.sagemaker.models import sagemaker_backends


class SageMaker:
    """Runs every training job and pipeline execution that the server is asked for. ``runs`` names what ran."""

    def __init__(self, server: Any, region: str, folder: Path) -> None:
        self.server, self.region, self.folder = server, region, folder
        self.runs: list[str] = []
        server.after["sagemaker:CreateTrainingJob"] = self.train
        server.after["sagemaker:StartPipelineExecution"] = self.execute

    @property
    def moto(self) -> Any:
        return sagemaker_backends[ACCOUNT][self.region]

    @property
    def s3(self) -> Any:
        return boto3.client("s3", endpoint_url=self.server.url, region_name=self.region)

    def train(self, asked: Mapping[str, Any]) -> None:
        name = asked["TrainingJobName"]
        job = self.moto.training_jobs.get(name)
        if job is None:
            return  # it was refused
        root = self.folder / name
        for channel in asked.get("InputDataConfig", ()):
            self.download(channel["DataSource"]["S3DataSource"]["S3Uri"], root / "input/data" / channel["ChannelName"])
        (root / "input/config").mkdir(parents=True)
        hosts = [f"algo-{n + 1}" for n in range(asked["ResourceConfig"]["InstanceCount"])]
        (root / "input/config/resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": hosts}))
        algorithm = asked["AlgorithmSpecification"]
        command = [*algorithm["ContainerEntrypoint"], *algorithm["ContainerArguments"]]
        failure = self.run(command, root, asked.get("Environment", {}), name)
        assert asked["OutputDataConfig"]["CompressionType"] == "NONE"
        model = f"{asked['OutputDataConfig']['S3OutputPath']}/{name}/output/model/"
        job.model_artifacts = {"S3ModelArtifacts": model}
        if failure is None:
            self.upload(root / "model", model)
        else:
            job.training_job_status, job.secondary_status, job.failure_reason = "Failed", "Failed", failure

    def execute(self, asked: Mapping[str, Any]) -> None:
        pipeline = self.moto.pipelines[asked["PipelineName"]]
        execution = list(pipeline.pipeline_executions.values())[-1]
        id = execution.arn.rpartition("/")[2]
        definition = json.loads(pipeline.pipeline_definition)
        assert definition["Version"] == "2020-12-01"
        for step in ordered(definition["Steps"]):
            failure = self.process(step, {"Execution.PipelineExecutionId": id}, self.folder / id / step["Name"])
            if failure is not None:
                execution.pipeline_execution_status = "Failed"
                execution.pipeline_execution_failure_reason = f"Step failure: {step['Name']}: {failure}"
                return

    def process(self, step: Mapping[str, Any], variables: Mapping[str, str], root: Path) -> str | None:
        assert step["Type"] == "Processing"
        job = resolved(step["Arguments"], variables)
        for given in job["ProcessingInputs"]:
            self.download(given["S3Input"]["S3Uri"], moved(given["S3Input"]["LocalPath"], root))
        application = job["AppSpecification"]
        command = [*application["ContainerEntrypoint"], *application.get("ContainerArguments", ())]
        assert all(len(word) <= 256 for word in command), "AppSpecification takes words of at most 256 characters"
        failure = self.run(command, root, job.get("Environment", {}), step["Name"])
        if failure is None:
            for made in job["ProcessingOutputConfig"]["Outputs"]:
                self.upload(moved(made["S3Output"]["LocalPath"], root), made["S3Output"]["S3Uri"])
        return failure

    def run(self, command: list[str], root: Path, environment: Mapping[str, str], name: str) -> str | None:
        """Why it failed; None when it did not."""
        self.runs.append(name)
        root.mkdir(parents=True, exist_ok=True)
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        home = {"PATH": path, "HOME": str(root), "TMPDIR": str(root), "MLINFRA_ML_ROOT": str(root)}
        kept = {k: v for k, v in os.environ.items() if k.startswith("MLINFRA_TEST")}
        done = subprocess.run(command, env={**kept, **home, **environment}, capture_output=True, text=True, cwd=root)
        if done.returncode == 0:
            return None
        told = root / "output/failure"
        return told.read_text() if told.is_file() else f"{done.stdout}{done.stderr}"[-1500:]

    def download(self, uri: str, folder: Path) -> None:
        """As S3Prefix does: every key that begins so; what lies deeper keeps its folders."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        folder.mkdir(parents=True, exist_ok=True)
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        assert found, f"SageMaker: nothing at {uri}"
        for row in found:
            below = row["Key"][len(prefix) :].lstrip("/") or row["Key"].rpartition("/")[2]
            if row["Key"] == prefix or row["Key"].startswith(prefix.rstrip("/") + "/"):
                target = folder / below
                target.parent.mkdir(parents=True, exist_ok=True)
                self.s3.download_file(bucket, row["Key"], str(target))

    def upload(self, folder: Path, uri: str) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.s3.upload_file(str(file), bucket, f"{prefix.rstrip('/')}/{file.relative_to(folder).as_posix()}")


def moved(path: str, root: Path) -> Path:
    return root / path.removeprefix("/opt/ml/")


def resolved(value: Any, variables: Mapping[str, str]) -> Any:
    """A definition's arguments with its functions carried out."""
    if isinstance(value, Mapping):
        if set(value) == {"Get"}:
            return variables[value["Get"]]
        if set(value) == {"Std:Join"}:
            return value["Std:Join"]["On"].join(resolved(v, variables) for v in value["Std:Join"]["Values"])
        return {k: resolved(v, variables) for k, v in value.items()}
    return [resolved(v, variables) for v in value] if isinstance(value, list) else value


def ordered(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    done: set[str] = set()
    left = list(steps)
    while left:
        ready = [s for s in left if set(s.get("DependsOn", ())) <= done]
        assert ready, "the definition's steps need each other in a circle"
        for step in ready:
            yield step
            done.add(step["Name"])
            left.remove(step)
