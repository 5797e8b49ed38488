"""A real Milvus in a container: who may use it, and what it can that Lite cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from live.docker.engine import docker_api  # noqa: F401  a fixture
from live.milvus.standalone import standalone_server

from mlinfra.model.values import Secret

pytestmark = pytest.mark.live

REAL_ONLY = {
    "IVF_PQ": {"nlist": 16, "m": 4, "nbits": 8},
    "SCANN": {"nlist": 16},
    "DISKANN": {},
}


@pytest.fixture(scope="module")
def guarded(docker_api: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: F811
    with standalone_server(docker_api, tmp_path_factory.mktemp("m"), {"token": Secret("root:a-n3w-password")}) as uri:
        yield uri


def connected(uri: str, token: str) -> Any:
    from pymilvus import MilvusClient

    return MilvusClient(uri=uri, token=token, dedicated=True)


def test_only_the_token_is_let_in_and_grpc_answers_as_soon_as_it_is_healthy(guarded: str) -> None:
    from pymilvus.exceptions import MilvusException

    client = connected(guarded, "root:a-n3w-password")
    assert client.list_collections() == []
    client.close()
    for token in ("root:Milvus", "root:wrong", ""):
        with pytest.raises(MilvusException):
            connected(guarded, token).list_collections()


def test_users_roles_and_index_types_that_lite_lacks(guarded: str, tmp_path: Path) -> None:
    import asyncio

    from live.milvus.world import World, clients

    client = connected(guarded, "root:a-n3w-password")
    client.create_user("reader", "re4der-password")
    client.create_role("readers")
    client.grant_role("reader", "readers")
    assert "readers" in client.list_roles()
    for index, params in REAL_ONLY.items():
        world = World(guarded, clients(tmp_path), "milvus", token="root:a-n3w-password")
        world.apply(
            {
                "name": f"with_{index.lower()}",
                "fields": {"id": {"type": "int64", "primary": True}, "embedding": {"type": "float_vector", "dim": 8}},
                "indexes": {"embedding": {"type": index, "metric": "L2", "params": params}},
                "partitions": ("eu", "us"),
            }
        )
        assert set(client.list_partitions(f"with_{index.lower()}")) == {"_default", "eu", "us"}
        assert client.describe_index(f"with_{index.lower()}", "embedding")["index_type"] == index
        world.destroy()
        asyncio.run(world.client.close())
    client.close()
