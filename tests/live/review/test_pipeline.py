"""The pipeline that ``mlinfra ci github`` writes, its jobs run as a runner would: every ``run:`` by bash, the state in S3, a ``gh`` that
remembers what it was told. Plan, comment, approve, apply; the apply killed half-way and run again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from live.servers.moto_aws import CREDENTIALS, moto_server

from mlinfra.cli.app import run

pytestmark = pytest.mark.live
SPEC = """\
version: 1
project: flow
state: {{store: s3, bucket: {bucket}, region: us-east-1, endpoint_url: "{url}", lease: 2s}}
environments: {{prod: {{target: local}}}}
resources:
  raw: {{kind: bucket}}
  first: {{kind: data, input: "${{raw.uri}}"}}
  train: {{kind: training_job, code: job, run: python job.py, env: {{HERE: "{here}"}}}}
  last: {{kind: data, input: "${{train.outputs.model}}"}}
outputs: {{model: "${{train.outputs.model}}"}}
"""
JOB = """\
import os, time
from pathlib import Path
here = Path(os.environ["HERE"])
(here / "started").touch()
while not (here / "go").exists():
    time.sleep(0.05)
with (here / "runs").open("a") as file:
    file.write("x")
Path(os.environ["MLINFRA_OUTPUT_MODEL"], "model.txt").write_text("a model")
"""
GH = """\
import json, os, shutil, sys
from pathlib import Path
store = Path(os.environ["GH_STORE"])
told = json.loads(store.read_text()) if store.exists() else {"comments": {}, "issues": {}}
words = sys.argv[1:]
line = " ".join(words)
def body():
    return Path(words[words.index("-F") + 1].removeprefix("body=@")).read_text()
if words[0] == "api" and "-X PATCH" in line:
    told["comments"][line.split("/comments/")[1].split()[0]] = body()
elif words[0] == "api" and "/comments" in line and "-F" in words:
    told["comments"][str(100 + len(told["comments"]))] = body()
elif words[0] == "api" and "/comments" in line:
    marker = line.split('startswith("')[1].split('")')[0]
    print("\\n".join(i for i, text in told["comments"].items() if text.startswith(marker)))
elif words[0] == "api" and "/pulls" in line:
    print(os.environ["HEAD_SHA"])
elif words[0] == "api" and "/artifacts" in line:
    assert "mlinfra-plan-" + os.environ["HEAD_SHA"] in line
    print("77")
elif words[:2] == ["run", "download"]:
    shutil.copytree(os.environ["ARTIFACTS"], words[words.index("--dir") + 1], dirs_exist_ok=True)
elif words[:2] == ["issue", "list"]:
    print("\\n".join(told["issues"]))
elif words[:2] == ["issue", "create"]:
    told["issues"][str(1 + len(told["issues"]))] = [Path(words[words.index("--body-file") + 1]).read_text()]
elif words[:2] == ["issue", "comment"]:
    told["issues"][words[2]].append(Path(words[words.index("--body-file") + 1]).read_text())
else:
    sys.exit("gh was asked: " + line)
store.write_text(json.dumps(told))
"""


@dataclass
class Runner:
    """One repository on one Git host. ``folder`` is the checkout."""

    folder: Path
    tools: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def workflow(self) -> dict[str, Any]:
        text = (self.folder / ".github/workflows/mlinfra.yml").read_text()
        found: dict[str, Any] = yaml.safe_load(text)
        return found

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.tools / "told.json").read_text())
        return found

    def job(self, name: str) -> tuple[int, str]:
        """Every ``run:`` of the job in its order, until one fails; exit code and output."""
        said = ""
        outputs: dict[str, str] = {}
        for step in self.workflow["jobs"][name]["steps"]:
            if "run" not in step or step["run"].startswith("pip install") or not self._holds(step.get("if", ""), outputs):
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.folder, env=self.environ(step.get("env", {}), outputs), capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            said += f"$ {step.get('name', step['run'])}\n{done.stdout}{done.stderr}"
            written = self.tools / "output"
            if written.exists():
                outputs.update(line.split("=", 1) for line in written.read_text().splitlines())
            if done.returncode:
                return done.returncode, said
        if name == "plan":
            shutil.rmtree(self.tools / "artifacts", ignore_errors=True)
            shutil.copytree(self.folder / ".mlinfra-plan", self.tools / "artifacts")
            shutil.rmtree(self.folder / ".mlinfra-plan")
        return 0, said

    def environ(self, more: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, str]:
        known = {
            "github.token": "t",
            "github.event.pull_request.number": "7",
            **{f"steps.plan.outputs.{k}": v for k, v in outputs.items()},
        }
        filled = {k: re.sub(r"\$\{\{ *(.*?) *\}\}", lambda m: known.get(m[1], ""), str(v)) for k, v in more.items()}
        return {
            **os.environ, **CREDENTIALS, **self.environment, **self.workflow["env"], **filled,
            "PATH": f"{self.tools / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(self.tools / "output"), "GITHUB_STEP_SUMMARY": str(self.tools / "summary"),
            "GITHUB_REPOSITORY": "acme/ml", "GITHUB_SHA": "merged", "HEAD_SHA": "0123abc", "GH_STORE": str(self.tools / "told.json"),
            "ARTIFACTS": str(self.tools / "artifacts"), "NO_COLOR": "1", "COLUMNS": "120",
        }  # fmt: skip

    @staticmethod
    def _holds(condition: str, outputs: Mapping[str, str]) -> bool:
        match = re.fullmatch(r"steps\.\w+\.outputs\.code (!=|==) '(\d)'", condition)
        return match is None or (outputs.get("code") == match[2]) == (match[1] == "==")

    def change(self, old: str, new: str) -> None:
        file = self.folder / "mlinfra.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    with moto_server() as url:
        bucket = f"flow-{os.urandom(4).hex()}"
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket=bucket)
        folder, tools = tmp_path / "repository", tmp_path / "tools"
        (folder / ".git").mkdir(parents=True)
        (folder / "job").mkdir()
        (folder / "job/job.py").write_text(JOB)
        (tools / "bin").mkdir(parents=True)
        (tools / "gh.py").write_text(GH)
        gh = tools / "bin/gh"
        gh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tools / "gh.py"}" "$@"\n')
        gh.chmod(0o755)
        (folder / "mlinfra.yaml").write_text(SPEC.format(bucket=bucket, url=url, here=tools))
        assert run(["ci", "github", "-C", str(folder), "--env", "prod"]) == 0
        found = Runner(folder, tools, url)
        yield found
        (tools / "go").touch()
        subprocess.run(
            [sys.executable, "-m", "mlinfra", "destroy", "--yes", "--env", "prod"],
            cwd=folder,
            env=found.environ({}, {}),
            timeout=120,
        )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def test_plan_comment_approve_apply_killed_half_way_and_resumed(runner: Runner) -> None:
    code, said = runner.job("plan")
    assert code == 0, said
    (comment,) = runner.told["comments"].values()
    assert comment.startswith("<!-- mlinfra plan: flow/prod -->") and "4 to add" in comment
    assert (runner.tools / "summary").read_text() == comment

    # somebody pushes again: the same comment says the new plan
    runner.change("kind: bucket}", "kind: bucket, versioning: true}")
    assert runner.job("plan")[0] == 0
    (again,) = runner.told["comments"].values()
    assert again != comment and "versioning" in again and "true" in again

    # merged: the very plan, from its file; the machine dies in the middle of the training
    (fetch,) = [s for s in runner.workflow["jobs"]["apply"]["steps"] if s.get("name", "").startswith("Fetch")]
    environ = runner.environ({"GH_TOKEN": "t"}, {})
    subprocess.run(["bash", "-eo", "pipefail", "-c", fetch["run"]], cwd=runner.folder, env=environ, check=True, timeout=60)
    (apply,) = [s for s in runner.workflow["jobs"]["apply"]["steps"] if s.get("name", "").startswith("Apply")]
    words = apply["run"].split()
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=runner.folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(runner.tools / "started", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    # the job is run again: it goes on with what is left of what was approved
    (runner.tools / "go").touch()
    code, said = runner.job("apply")
    assert code == 0, said
    assert "was begun before and not finished" in said and "Apply complete!" in said
    done = subprocess.run(
        [sys.executable, "-m", "mlinfra", "plan", "--env", "prod", "--detailed-exitcode"],
        cwd=runner.folder, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

    # a third time there is nothing left, and it is said that the plan is over
    code, said = runner.job("apply")
    assert code == 5 and "stale" in said


def test_what_overtakes_the_plan_refuses_it_and_drift_opens_one_issue(runner: Runner) -> None:
    (runner.tools / "go").touch()
    runner.change(
        "  train: {kind: training_job, code: job, run: python job.py",
        "  train: {kind: training_job, enabled: false, code: job, run: python job.py",
    )
    runner.change('  last: {kind: data, input: "${train.outputs.model}"}\noutputs: {model: "${train.outputs.model}"}\n', "")
    assert runner.job("plan")[0] == 0
    environ = runner.environ({}, {})
    command = [sys.executable, "-m", "mlinfra", "apply", "--yes", "--env", "prod"]
    subprocess.run(command, cwd=runner.folder, env=environ, check=True, timeout=120, stdout=subprocess.DEVNULL)
    code, said = runner.job("apply")
    assert code == 5 and "raw was created since" in said
    assert runner.job("drift")[0] == 0 and runner.told["issues"] == {}
    shutil.rmtree(next(p for p in (runner.folder / ".mlinfra/local").rglob("raw") if p.is_dir()))
    assert runner.job("drift")[0] == 0
    assert runner.job("drift")[0] == 0
    (issue,) = runner.told["issues"].values()
    assert len(issue) == 2 and "`raw` is gone" in issue[0]
