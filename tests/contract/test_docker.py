"""The contract, for the docker types that hold and serve what others make: on a real engine. Skips where there is none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from live.docker import images
from live.docker.engine import docker_api  # noqa: F401  a fixture

from mlinfra.kinds.model_registry import ModelRegistry
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, Secret, freeze
from mlinfra.provider.contract import FileDigest, LoweringContext, ProviderContext, ResourceType
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
from mlinfra_docker.provider import DockerProvider

pytestmark = pytest.mark.xdist_group("docker_contract")  # with test_docker_runs.py: all worlds are one stack, with one network
KINDS = ("bucket", "dataset", "image", "vector_database", "model_registry", "model")
RUNS = ("docker.job", "docker.pipeline", "docker.hardware", "docker.ray", "docker.endpoint")
DIGEST = FileDigest("sha256:" + "ab" * 32, 10, 1)


class Holders(DockerProvider):
    """The provider, less what tests/contract/test_docker_runs.py samples."""

    types: Mapping[str, ResourceType] = {n: DockerProvider.types[n] for n in DockerProvider.types if n not in RUNS}
    lowerings = {k: DockerProvider.lowerings[k] for k in KINDS}  # noqa: RUF012


def named(w: World, suffix: str = "") -> str:
    return f"{w.given['name']}{suffix}"


def container(w: World, **more: Any) -> Mapping[str, Any]:
    return {
        "Name": named(w),
        "Image": w.given["image"],
        "Cmd": ("sh", "-c", "sleep 1000"),
        "Env": {"A": "1"},
        "Labels": {"team": "ml"},
        "User": "65534:65534",
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": ""},
        "PortBindings": {"8080/tcp": ({"HostPort": ""},)},
        "StopSignal": "SIGKILL",
        "Memory": 50_000_000,
        **more,
    }


def server(w: World, **more: Any) -> Mapping[str, Any]:
    """A server that keeps its data in a volume: any will do for the mechanics; the real ones have tests of their own."""
    return {
        "Name": named(w),
        "Volume": named(w, "-data"),
        "Target": "/data",
        "Port": "8000/tcp",
        "Image": w.given["image"],
        "Cmd": ("python3", "-m", "http.server", "8000", "--directory", "/data"),
        "PortBindings": {"8000/tcp": ({"HostPort": ""},)},
        "Healthcheck": {"Test": ("CMD-SHELL", "wget -qO- http://localhost:8000/")},
        "StopSignal": "SIGKILL",
        **more,
    }


def dataset(w: World, **more: Any) -> Mapping[str, Any]:
    found = w.digest("data")
    return {
        "bucket": w["bucket"].id, "name": "corpus", "source": "data", "version": found.digest, "size": found.size, "file": "", **more,
    }  # fmt: skip


def built(w: World, word: str) -> Mapping[str, Any]:
    w.base.joinpath("app/Dockerfile").write_text(
        f"FROM {w.given['image']}\nARG WORD\nCOPY hello /hello\nRUN echo $WORD > /word\n"
    )
    return {"Name": named(w), "Tag": word, "Build": {"Context": "app", "BuildArgs": {"WORD": word}}}


def version(w: World, **more: Any) -> Mapping[str, Any]:
    found = w.digest("model").digest
    return {
        "registry": w.given["registry"], "model": named(w), "version": "v1", "path": "model", "content": found,
        "description": "", "tags": {}, **more,
    }  # fmt: skip


BUCKET = {"bucket": Given(type="docker.volume", attributes=lambda w: {"Name": named(w)})}
MODEL = {
    "model": Given(
        type="docker.model",
        attributes=lambda w: {"registry": w.given["registry"], "name": named(w), "description": "", "tags": {}},
    )
}
FOLDER = {"model/MLmodel": "flavors: {}\n", "model/weights": b"\0" * 1000}


@pytest.fixture(scope="module")
def registry(docker_api: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:  # noqa: F811
    """A real MLflow server, made once by the provider itself."""
    context = ProviderContext(
        project=f"contract-{uuid.uuid4().hex[:6]}",
        environment="test",
        base=tmp_path_factory.mktemp("spec"),
        data=Path("/nowhere"),
    )
    settings = {"images": {"helper": images.ensure(docker_api, images.BASE), "mlflow": images.ensure(docker_api, images.MLFLOW)}}
    provider, kind = DockerProvider(), DockerProvider.types["docker.mlflow"]
    component = Component(kind="model_registry", name="registry", target="docker", properties=Map())
    told = LoweringContext(
        component=component, project=context.project, environment="test", provider="docker", settings=freeze(settings)
    )
    attributes = provider.lowerings["model_registry"](ModelRegistry(), told).resources[0].attributes

    with asyncio.Runner() as runner:
        client = runner.run(provider.connect(provider.config.model_validate(settings), context))
        try:
            desired = Desired(address="registry", type="docker.mlflow", attributes=attributes, timeout=600)
            made = runner.run(kind.create(client, desired, uuid.uuid4().hex))
            yield {"registry": made.id}
            state = ResourceState(
                address="registry", type="docker.mlflow", provider="docker", id=made.id, attributes=made.attributes
            )
            runner.run(kind.delete(client, state))
        finally:
            runner.run(client.close())


class TestDocker(ProviderContract):
    provider = Holders()
    samples = (
        Sample(
            type="docker.network",
            create=lambda w: {"Name": named(w), "Labels": {"team": "ml"}},
            replace=lambda w: {"Name": named(w), "Labels": {"team": "ml"}, "Internal": True},
        ),
        Sample(
            type="docker.volume",
            create=lambda w: {"Name": named(w), "versioning": False},
            update=lambda w: {"Name": named(w), "versioning": True},
            replace=lambda w: {"Name": named(w), "versioning": False, "Labels": {"team": "ml"}},
        ),
        Sample(
            type="docker.image",
            files={"app/hello": "hello"},
            create=lambda w: built(w, "one"),
            replace=lambda w: built(w, "two"),
            name="built",
        ),
        Sample(type="docker.image", create=lambda w: {"FromImage": w.given["image"]}, alone=False, name="there_already"),
        Sample(
            type="docker.container",
            create=container,
            update=lambda w: container(w, Memory=60_000_000, NanoCpus=500_000_000, RestartPolicy={"Name": "on-failure"}),
            replace=lambda w: container(w, Env={"A": "2"}),
        ),
        Sample(
            type="docker.container",
            create=lambda w: container(w, Env={"A": Secret("s3cret-of-the-contract")}, Files={"/srv/a": "x"}, ReadonlyRootfs=False),
            name="with_a_secret",
        ),
        Sample(
            type="docker.milvus", create=server, update=lambda w: server(w, Memory=60_000_000), name="resized",
        ),
        Sample(
            type="docker.mlflow", create=server, update=lambda w: server(w, Env={"A": "1"}), name="built_again",
        ),
        Sample(
            type="docker.dataset",
            needs=BUCKET,
            files={"data/a.txt": "one", "data/b/c.txt": "two"},
            create=dataset,
        ),
        Sample(
            type="docker.model",
            create=lambda w: {"registry": w.given["registry"], "name": named(w), "description": "", "tags": {}},
            update=lambda w: {"registry": w.given["registry"], "name": named(w), "description": "routes", "tags": {"a": "b"}},
        ),
        Sample(
            type="docker.model_version",
            needs=MODEL,
            files=FOLDER,
            create=version,
            update=lambda w: version(w, description="the first", tags={"a": "b"}),
        ),
        Sample(
            type="docker.model_aliases",
            needs={**MODEL, "v1": Given(type="docker.model_version", attributes=version)},
            files=FOLDER,
            create=lambda w: {"registry": w.given["registry"], "model": named(w), "aliases": {"champion": 1}},
            update=lambda w: {"registry": w.given["registry"], "model": named(w), "aliases": {"live": 1}},
            alone=False,
        ),
    )  # fmt: skip
    portables = (
        Portable(kind="bucket"),
        Portable(
            kind="dataset",
            properties={"bucket": Map(kind="bucket", name="raw", id="raw", uri="docker://raw"), "source": "a.csv"},
            digests={("a.csv", "data"): DIGEST},
        ),
        Portable(kind="image", properties={"build": "app"}, digests={("app", "code"): DIGEST}),
        Portable(kind="image", properties={"source": "busybox:1.36.1"}, name="pulled"),
        Portable(kind="vector_database", properties={"version": "2.6", "resources": {"cpus": 2.0, "memory": "4GB"}}),
        Portable(kind="model_registry"),
        Portable(
            kind="model",
            properties={
                "registry": Map(kind="model_registry", id="registry", name="registry"),
                "versions": {"v1": {"artifact": "docker://runs/model"}},
                "aliases": {"champion": "v1"},
            },
        ),
    )

    @pytest.fixture
    def given(self, request: pytest.FixtureRequest, docker_api: Any) -> Mapping[str, Any]:  # noqa: F811
        sample = request.node.callspec.params.get("sample") if hasattr(request.node, "callspec") else None
        held = sample is not None and sample.type.startswith("docker.model")
        return {
            "name": f"mlinfra-contract-{uuid.uuid4().hex[:8]}",
            "image": images.ensure(docker_api, images.BASE),
            **(request.getfixturevalue("registry") if held else {}),
        }

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"images": {"helper": given["image"]}, "pull": False, "prefix": uuid.uuid4().hex[:8]} if given else {}
