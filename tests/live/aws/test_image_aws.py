"""``image`` on AWS: built here, pushed into a repository of ECR, named by digest in what uses it. The images lie in a real registry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live.aws.images import registry
from live.servers.locked_registry import PASSWORD, USER

pytestmark = pytest.mark.live

SPEC = """\
version: 1
project: shop
environments: {{dev: {{target: aws}}}}
providers: {{aws: {{region: us-east-1, endpoint_url: "{aws}", registry: "{registry}"}}}}
resources:
  serve:
    kind: image
    build: {{context: serve, args: {{GREETING: {greeting}}}}}
  role:
    kind: aws.iam_role
    RoleName: serve
    AssumeRolePolicyDocument:
      Version: "2012-10-17"
      Statement: [{{Effect: Allow, Principal: {{Service: sagemaker.amazonaws.com}}, Action: "sts:AssumeRole"}}]
  model:
    kind: aws.sagemaker_model
    ExecutionRoleArn: ${{role.Arn}}
    PrimaryContainer: {{Image: "${{serve.uri}}"}}
outputs:
  uri: ${{serve.uri}}
"""
DOCKERFILE = "FROM scratch\nARG GREETING\nLABEL greeting=$GREETING\nCOPY app.py /app.py\n"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("images")) as host:
        if host is None:
            pytest.skip("no Docker engine, or no docker-registry, to push images to")
        yield host


@pytest.fixture
def stack(images: str, aws_server: Any, spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any]) -> Callable[..., Any]:
    folder = spec_folder("version: 1\nproject: shop\n", {"serve/Dockerfile": DOCKERFILE, "serve/app.py": "print(1)\n"})

    def run(command: str, code: int = 0, greeting: str = "hello", files: dict[str, str] | None = None, **environment: str) -> Any:
        (folder / "mlinfra.yaml").write_text(SPEC.format(aws=aws_server.url, registry=images, greeting=greeting))
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        done = run_mlinfra(command.split(), folder, environment=environment)
        assert done.code == code, done.text
        return done

    return run


def held(images: str, name: str = "shop-dev-serve") -> set[str]:
    """The digests of the images in the registry."""
    answer = httpx.get(f"http://{images}/v2/{name}/tags/list", auth=(USER, PASSWORD))
    tags = answer.json().get("tags") or [] if answer.status_code == 200 else []
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    return {
        httpx.head(f"http://{images}/v2/{name}/manifests/{tag}", auth=(USER, PASSWORD), headers=accept).headers[
            "Docker-Content-Digest"
        ]
        for tag in tags
    }


def test_an_image_is_built_pushed_rolled_by_a_changed_file_and_destroyed(
    stack: Callable[..., Any], images: str, boto: Any, tmp_path: Path
) -> None:
    said = stack("apply --yes").text
    uri = json.loads(stack("output --json").out)["uri"]["value"]
    assert re.fullmatch(r"123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com/shop-dev-serve@sha256:[0-9a-f]{64}", uri)
    assert held(images) == {uri.partition("@")[2]}
    stack("plan --detailed-exitcode")

    changed = stack("apply --yes", files={"serve/app.py": "print(2)\n"}).out
    assert "# serve must be replaced" in changed and "# model must be replaced" in changed
    after = json.loads(stack("output --json").out)["uri"]["value"]
    assert after != uri and held(images) == {after.partition("@")[2]}  # the old one went when the model had moved
    (model,) = boto("sagemaker").list_models()["Models"]
    assert boto("sagemaker").describe_model(ModelName=model["ModelName"])["PrimaryContainer"]["Image"] == after

    said += stack("destroy --yes --allow-data-loss").text
    assert held(images) == set() and boto("ecr").describe_repositories()["repositories"] == []
    written = "".join(f.read_bytes().decode("utf-8", "replace") for f in tmp_path.rglob("*") if f.is_file())
    assert PASSWORD not in said + written


def test_what_cannot_be_built_shows_its_last_lines_and_without_an_engine_it_says_what_to_do(stack: Callable[..., Any]) -> None:
    broken = stack("apply --yes", code=1, files={"serve/Dockerfile": DOCKERFILE + "COPY nothing.py /\n"}).err
    assert "nothing.py" in broken and "mlinfra.yaml:8:" in broken, broken
    nobody = stack("apply --yes", code=1, files={"serve/Dockerfile": DOCKERFILE}, DOCKER_HOST="unix:///nowhere/docker.sock").err
    assert "none answers at" in nobody and "/nowhere/docker.sock" in nobody and "DOCKER_HOST" in nobody, nobody
    assert "Traceback" not in broken + nobody
    stack("destroy --yes --allow-data-loss")
