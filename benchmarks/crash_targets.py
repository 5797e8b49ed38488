"""What `crash.py` applies and where it counts, one class a target."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from crash_docker import Docker

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Target(Protocol):
    """A target of the benchmark. ``env`` is what :meth:`world` gave."""

    name: str

    def world(self) -> AbstractContextManager[dict[str, str]]:
        """Starts what the target needs; the environment for whoever uses it."""

    def clean(self, folder: Path, env: Mapping[str, str]) -> None:
        """Empties the world before a trial in ``folder``."""

    def spec(self, objects: int, env: Mapping[str, str]) -> str:
        """The spec below its ``state:`` block: so many objects, some of which depend on others."""

    def things(self, objects: int) -> int:
        """How many of the objects stand in the world (a value does not)."""

    def standing(self, folder: Path, env: Mapping[str, str]) -> list[str]:
        """The id of everything that stands in the world."""

    def recorded(self, kind: str, id: str) -> str | None:
        """What :meth:`standing` calls the recorded object of this type and id; None for what does not stand in the world."""


class Local:
    """Buckets of the local target, and values that depend on them: two buckets to a value that names one of them."""

    name = "local"

    @contextlib.contextmanager
    def world(self) -> Iterator[dict[str, str]]:
        yield {}

    def clean(self, folder: Path, env: Mapping[str, str]) -> None:
        pass  # every trial has a folder of its own

    def spec(self, objects: int, env: Mapping[str, str]) -> str:
        lines = [
            f"  v{n}: {{kind: data, input: '${{b{n - 1}.uri}}'}}" if n % 3 == 2 else f"  b{n}: {{kind: bucket}}"
            for n in range(objects)
        ]
        return "\n".join(["resources:", *lines]) + "\n"

    def things(self, objects: int) -> int:
        return sum(1 for n in range(objects) if n % 3 != 2)

    def standing(self, folder: Path, env: Mapping[str, str]) -> list[str]:
        root = folder / ".mlinfra/local/crash-default/buckets"
        return sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) if root.is_dir() else []

    def recorded(self, kind: str, id: str) -> str | None:
        return Path(id).name if kind == "local.bucket" else None


class Aws:
    """S3 buckets, IAM roles and SageMaker models that name both, on a moto server of its own; a third of each."""

    name = "aws"

    @contextlib.contextmanager
    def world(self) -> Iterator[dict[str, str]]:
        with moto() as endpoint:
            yield {**KEYS, "AWS_ENDPOINT_URL": endpoint}

    def clean(self, folder: Path, env: Mapping[str, str]) -> None:
        reset = urllib.request.Request(f"{env['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset, timeout=30).close()

    def spec(self, objects: int, env: Mapping[str, str]) -> str:
        lines = ["environments: {default: {target: aws}}", "resources:"]
        for n in range(objects):
            if n % 3 == 0:
                lines.append(f"  b{n}: {{kind: aws.s3_bucket}}")
            elif n % 3 == 1:
                lines.append(f"  r{n}: {{kind: aws.iam_role, AssumeRolePolicyDocument: {json.dumps(TRUST)}}}")
            else:
                lines.append(
                    f"  m{n}: {{kind: aws.sagemaker_model, ExecutionRoleArn: '${{r{n - 1}.Arn}}', PrimaryContainer: "
                    f"{{Image: '{IMAGE}', ModelDataUrl: 's3://${{b{n - 2}.BucketName}}/model.tar.gz'}}}}"
                )
        return "\n".join(lines) + "\n"

    def things(self, objects: int) -> int:
        return objects

    def standing(self, folder: Path, env: Mapping[str, str]) -> list[str]:
        s3, iam, sagemaker = (_client(service, env) for service in ("s3", "iam", "sagemaker"))
        roles = iam.get_paginator("list_roles").paginate()
        models = sagemaker.get_paginator("list_models").paginate()
        return sorted(
            [f"bucket {b['Name']}" for b in s3.list_buckets()["Buckets"]]
            + [f"role {r['RoleName']}" for page in roles for r in page["Roles"]]
            + [f"model {m['ModelName']}" for page in models for m in page["Models"]]
        )

    def recorded(self, kind: str, id: str) -> str | None:
        return f"{WORDS[kind]} {id}"


TARGETS: dict[str, Target] = {"local": Local(), "aws": Aws(), "docker": Docker()}

WORDS = {"aws.s3_bucket": "bucket", "aws.iam_role": "role", "aws.sagemaker_model": "model"}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/serve:1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """The address of a moto server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/moto-api/data.json", timeout=5).close()
                break
            if process.poll() is not None:
                raise RuntimeError("moto ended before it answered: is moto[server] installed?")
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _client(service: str, env: Mapping[str, str]) -> Any:
    import boto3

    return boto3.Session(
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"], aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name=KEYS["AWS_DEFAULT_REGION"],
    ).client(service, endpoint_url=env["AWS_ENDPOINT_URL"])  # fmt: skip
