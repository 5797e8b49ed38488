"""The Milvus provider against the contract that every provider must meet, on a Milvus Lite server of its own."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from mlinfra.model.values import Secret
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample, World
from mlinfra_local import services
from mlinfra_milvus.provider import MilvusProvider

pytestmark = pytest.mark.live

FIELDS = {
    "id": {"type": "int64", "primary": True},
    "text": {"type": "varchar", "max_length": 64, "description": "what it says"},
    "embedding": {"type": "float_vector", "dim": 8},
}
HNSW = {"embedding": {"type": "HNSW", "metric": "COSINE", "params": {"M": 8, "efConstruction": 32}}}
DATABASE = {"kind": "vector_database", "uri": "http://127.0.0.1:19530", "engine": "milvus", "database": "default", "token": None}


def name(w: World, base: str = "c") -> str:
    """A name that is this test's own on the shared server, and the same for the whole test."""
    return f"{base}_{uuid.uuid5(uuid.NAMESPACE_URL, str(w.base)).hex[:10]}"


def collection(base: str = "c", **more: Any) -> Callable[[World], Mapping[str, Any]]:
    def attributes(w: World) -> Mapping[str, Any]:
        given = {"fields": FIELDS, "indexes": HNSW, "partitions": (), "properties": {}, **more}
        return {"uri": w.given["uri"], "database": "default", "token": Secret("planted-token"), "name": name(w, base), **given}

    return attributes


def alias(to: str, called: str = "live") -> Callable[[World], Mapping[str, Any]]:
    return lambda w: {"uri": w.given["uri"], "database": "default", "alias": name(w, called), "collection": name(w, to)}


BOTH = {
    "one": Given(type="milvus.collection", attributes=collection("one")),
    "two": Given(type="milvus.collection", attributes=collection("two")),
}


class TestMilvus(ProviderContract):
    provider = MilvusProvider()
    samples = (
        Sample(
            type="milvus.collection",
            create=collection(description="one", generation="aaa", dynamic_fields=True, shards=1),
            update=collection(
                description="two",
                generation="aaa",
                dynamic_fields=True,
                shards=1,
                indexes={"embedding": {"type": "IVF_FLAT", "metric": "L2", "params": {"nlist": 4}}, "text": {"type": "INVERTED"}},
                partitions=("en", "de"),
                properties={"mmap": True},
            ),
            replace=collection("d", fields={**FIELDS, "embedding": {"type": "float_vector", "dim": 16}}),
        ),
        Sample(type="milvus.alias", needs=BOTH, create=alias("one"), update=alias("two"), replace=alias("one", "other")),
    )
    portables = (
        Portable(kind="collection", properties={"database": DATABASE, "fields": FIELDS}),
        Portable(
            kind="collection",
            name="alias",
            properties={"database": DATABASE, "fields": FIELDS, "indexes": HNSW, "alias": "live", "partitions": ("en",)},
        ),
    )

    @pytest.fixture(scope="class", autouse=True)
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        folder = tmp_path_factory.mktemp("milvus")
        command = (
            sys.executable, "-m", "mlinfra_local.milvus_server",
            "--data-dir", str(folder / "data"), "--host", services.HOST, "--port", "{port}",
        )  # fmt: skip
        spec = services.ServiceSpec(name="Lite", command=command, any_port=True, health=services.answers_tcp())
        yield f"http://{services.HOST}:{services.start(folder, spec).port}"
        services.stop(folder)

    @pytest.fixture
    def given(self, server: str) -> Mapping[str, Any]:
        return {"uri": server}
