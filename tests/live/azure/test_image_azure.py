"""``image`` on Azure: built here, pushed into a container registry with a token that is exchanged for the registry's own. The images lie in
a real registry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes.azure import Azure, azure
from live.azure.registry import container_registry
from live.servers.locked_registry import PASSWORD

pytestmark = pytest.mark.live

SPEC = """\
version: 1
project: shop
environments: {{dev: {{target: azure}}}}
providers: {{azure: {{subscription: {subscription}, authority: "{arm}", endpoints: {{arm: "{arm}", registry: "{registry}"}}, poll: 0.01}}}}
resources:
  serve:
    kind: image
    build: {{context: serve}}
outputs:
  uri: ${{serve.uri}}
"""
DOCKERFILE = "FROM scratch\nCOPY app.py /app.py\n"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Azure, str]]:
    docker = pytest.importorskip("docker")
    try:
        docker.from_env().close()
    except docker.errors.DockerException:
        pytest.skip("no Docker engine to push from")
    folder = tmp_path_factory.mktemp("azure")
    with azure(folder / "arm") as arm, container_registry(folder, arm.authority.audience) as host:
        yield arm, host


def tags(host: str, uri: str) -> list[str]:
    name = uri.partition("/")[2].partition("@")[0]
    answer = httpx.get(f"http://{host}/v2/{name}/tags/list", auth=("00000000-0000-0000-0000-000000000000", PASSWORD))
    found = answer.json().get("tags") or [] if answer.status_code == 200 else []
    return [tag for tag in found if not tag.startswith("mlinfra-op-")]


def test_an_image_is_built_pushed_rolled_by_a_changed_file_and_destroyed(
    held: tuple[Azure, str], spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any], tmp_path: Path
) -> None:
    arm, host = held
    subscription = arm.settings()["subscription"]
    text = SPEC.format(subscription=subscription, arm=arm.address, registry=host)
    folder = spec_folder(text, {"serve/Dockerfile": DOCKERFILE, "serve/app.py": "print(1)\n"})

    def stack(*words: str) -> Any:
        done = run_mlinfra([*words], folder, environment=arm.environment)
        assert done.code == 0, done.text
        return done

    said = stack("apply", "--yes").text
    uri = json.loads(stack("output", "--json").out)["uri"]["value"]
    assert re.fullmatch(r"shopdev[0-9a-f]{8}\.azurecr\.io/shop-dev-serve@sha256:[0-9a-f]{64}", uri)
    assert len(tags(host, uri)) == 1
    stack("plan", "--detailed-exitcode")

    (folder / "serve" / "app.py").write_text("print(2)\n")
    said += stack("apply", "--yes").text
    after = json.loads(stack("output", "--json").out)["uri"]["value"]
    assert after != uri and len(tags(host, after)) == 1

    said += stack("destroy", "--yes", "--allow-data-loss").text
    assert tags(host, after) == [] and arm.everything() == [] and arm.invalid == []
    written = "".join(f.read_bytes().decode("utf-8", "replace") for f in tmp_path.rglob("*") if f.is_file())
    assert PASSWORD not in said + written
