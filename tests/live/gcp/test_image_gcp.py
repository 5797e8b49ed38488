"""``image`` on GCP: built here, pushed into a repository of Artifact Registry, named by digest in what uses it. Google's fake keeps no images:
they lie in a real registry beside it, entered with Google's token; what deletes them in Artifact Registry itself is asked of the fake."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fakes.google import Google
from fakes.google.server import PROJECT, TOKEN
from live.aws.images import registry
from live.gcp.conftest import Stack

from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map
from mlinfra.provider.contract import ProviderContext
from mlinfra_gcp.provider import GcpProvider

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")
pytestmark = pytest.mark.live
LOGIN = {"user": "oauth2accesstoken", "hashed": "$2b$04$3UHlqmShoIbLcf07C8A.aOYMixPbVK7c5v/FKgGUm8xXUU49IAGo."}
"""Google's user for tokens, and the tests' token in bcrypt."""
RESOURCES = {
    "serve": {"kind": "image", "build": "serve"},
    "api": {"kind": "gcp.run_service", "properties": {"name": "api"}, "template": {"containers": [{"image": "${serve.uri}"}]}},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("images"), **LOGIN) as host:
        if host is None:
            pytest.skip("no Docker engine, or no docker-registry, to push images to")
        yield host


def held(images: str) -> list[str]:
    answer = httpx.get(f"http://{images}/v2/{PROJECT}/stack-gcp-serve/image/tags/list", auth=(LOGIN["user"], TOKEN))
    return sorted(answer.json().get("tags") or []) if answer.status_code == 200 else []


def test_an_image_is_built_pushed_rolled_by_a_changed_file_and_destroyed(state: Google, stack: Stack, images: str) -> None:
    context = stack.folder / "serve"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY app.py /app.py\n")
    (context / "app.py").write_text("print(1)\n")
    stack.write(RESOURCES, registry=images)
    said = stack.run("apply", "--yes")

    def served() -> str:
        (service,) = state.named("run", "/services/")
        return str(service["template"]["containers"][0]["image"])

    first = served()
    assert re.fullmatch(rf"us-central1-docker\.pkg\.dev/{PROJECT}/stack-gcp-serve/image@sha256:[0-9a-f]{{64}}", first)
    tags = held(images)
    assert len(tags) == 2 and any(t.startswith("mlinfra-op-") for t in tags)
    stack.run("plan", "--detailed-exitcode")

    (context / "app.py").write_text("print(2)\n")
    said += stack.run("apply", "--yes")
    assert served() != first and len(held(images)) == 2 and not set(tags) & set(held(images))

    said += stack.run("destroy", "--yes")
    assert state.everything() == [] and state.invalid == [] and held(images) == []
    written = "".join(f.read_bytes().decode("utf-8", "replace") for f in stack.folder.rglob("*") if f.is_file())
    assert TOKEN not in said + written


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "named by another tag"])
def test_artifact_registry_loses_the_tags_and_with_the_last_one_the_image(state: Google, tmp_path: Path, shared: bool) -> None:
    package = f"projects/{PROJECT}/locations/us-central1/repositories/serve/packages/image"
    version = f"{package}/versions/sha256:1"
    names = ["of-1", "mlinfra-op-1", *(["latest"] if shared else [])]
    objects = {
        version: {"name": version},
        **{f"{package}/tags/{t}": {"name": f"{package}/tags/{t}", "version": version} for t in names},
    }
    state.objects["artifactregistry"].update(objects)
    recorded = ResourceState(
        address="x", type="gcp.image", provider="gcp", id="x",
        attributes=Map(repository=f"us-central1-docker.pkg.dev/{PROJECT}/serve/image", tag="of-1", mark="mlinfra-op-1", digest="sha256:1"),
    )  # fmt: skip

    async def deleted() -> None:
        provider = GcpProvider()
        context = ProviderContext(project="p", environment="e", base=tmp_path, data=tmp_path)
        client = await provider.connect(provider.config.model_validate(state.settings()), context)
        for _ in range(2):  # gone already is success
            await provider.types["gcp.image"].delete(client, recorded)
        await client.close()

    asyncio.run(deleted())
    assert sorted(state.objects["artifactregistry"]) == ([f"{package}/tags/latest", version] if shared else [])
    assert state.invalid == []
