"""A pull request of the usual size, planned as a person would: the example on an AWS that stands, its spec changed by its diff."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "pull-request"
SECRET = "planted-in-the-pull-request"
FORMATS = ("--markdown", "plan.md", "--html", "plan.html", "--json-into", "plan.json")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """The folder after ``plan --out saved.plan`` with every format beside it, and the command called in it."""

    folder: Path
    call: Callable[..., subprocess.CompletedProcess[str]]
    aws: Any

    def text(self, name: str) -> str:
        """A file of the plan, without what is another on every machine."""
        text = (self.folder / name).read_text()
        text = re.sub(r"http://127\.0\.0\.1:\d+", "http://milvus.internal:19530", text)
        text = re.sub(r"(spec (?:`|<code>))[0-9a-f]{12}", r"\g<1>0123456789ab", text)  # of a spec that names those ports
        return re.sub(r"\b(i|vol|sg|lt|subnet|vpc)-[0-9a-f]{17}\b", r"\1-0123456789abcdef0", text)


@pytest.fixture(scope="session")
def pull_request(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PullRequest]:
    """Applied as it was, changed, refused by its policy, planned again with a reason. Every test may read; one applies it."""
    from live.aws.server import moto_aws
    from live.milvus.world import lite_server

    folder = tmp_path_factory.mktemp("pull") / "tickets"
    shutil.copytree(EXAMPLE, folder)
    with moto_aws() as aws, lite_server(folder.parent / "milvus") as uri:
        environment = {
            **os.environ, "COLUMNS": "120", "NO_COLOR": "1", "MLINFRA_ENV": "prod", "MLINFRA_VAR_hook_token": SECRET,
        }  # fmt: skip

        def call(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [sys.executable, "-m", "mlinfra", *words],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == code, done.stdout + done.stderr
            return done

        spec = folder / "mlinfra.yaml"
        settings = f"region: us-east-1, endpoint_url: '{aws.url}', milvus_uri: '{uri}'}}"
        spec.write_text(spec.read_text().replace("region: us-east-1}", settings))
        call("apply", "--yes")
        subprocess.run(["git", "apply", "--unsafe-paths", "pull-request.diff"], cwd=folder, check=True, timeout=60)
        reason = "no_data_loss=CHG-4711: embedded anew from raw, agreed with search"
        call("plan", "--out", "saved.plan", "--override-policy", reason, *FORMATS)
        yield PullRequest(folder, call, aws)
        assert aws.invalid == []
