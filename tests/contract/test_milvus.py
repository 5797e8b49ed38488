"""The Milvus provider against the contract that every provider must meet, on a Milvus Lite server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mlinfra.model.values import Map
from mlinfra.provider.testing import Given, Portable, ProviderContract, Sample
from mlinfra_local import services
from mlinfra_milvus.provider import MilvusProvider

FIELDS = {"id": {"type": "int64", "primary": True}, "embedding": {"type": "float_vector", "dim": 8}}


@pytest.fixture(scope="module")
def lite_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("milvus")
    server = (sys.executable, "-m", "mlinfra_local.milvus_server", "--data-dir", str(folder / "data"))
    command = (*server, "--host", services.HOST, "--port", "{port}")
    spec = services.ServiceSpec(name="Milvus Lite", command=command, any_port=True, health=services.answers_tcp())
    yield f"http://{services.HOST}:{services.start(folder, spec).port}"
    services.stop(folder)


def collection(name: str, *, alias: str = "", dim: int = 8, **more: Any) -> Any:
    def attributes(w: Any) -> Mapping[str, Any]:
        database = Map(kind="vector_database", uri=w.given["uri"], engine="milvus-lite", database="default", token=None)
        fields = {**FIELDS, "embedding": {"type": "float_vector", "dim": dim}}
        properties = {"database": database, "name": name, "fields": fields, **({"alias": alias} if alias else {}), **more}
        return w.lowered("collection", properties)

    return attributes


def alias(collection: str) -> Any:
    return lambda w: {
        "uri": w.given["uri"],
        "database": "default",
        "alias": "live",
        "collection": w[collection].attributes["name"],
    }


class TestMilvus(ProviderContract):
    provider = MilvusProvider()
    samples = (
        Sample(
            type="milvus.collection",
            create=collection("tickets", partitions=("eu",)),
            update=collection("tickets", partitions=("eu", "us")),
            name="plain",
        ),
        Sample(
            type="milvus.collection",
            create=collection("tickets", alias="tickets_live"),
            replace=collection("tickets", alias="tickets_live", dim=16),
            name="behind_an_alias",
        ),
        Sample(
            type="milvus.alias",
            needs={
                "one": Given(type="milvus.collection", attributes=collection("one")),
                "two": Given(type="milvus.collection", attributes=collection("two")),
            },
            create=alias("one"),
            update=alias("two"),
        ),
    )
    portables = (
        Portable(
            kind="collection",
            properties={
                "database": Map(
                    kind="vector_database", uri="http://127.0.0.1:1", engine="milvus", database="default", token=None
                ),
                "fields": FIELDS,
                "alias": "live",
            },
        ),
    )

    @pytest.fixture
    def given(self, lite_uri: str) -> Mapping[str, Any]:
        return {"uri": lite_uri}
