"""Buckets and datasets through google-cloud-storage itself, against the public emulator of Cloud Storage. It keeps nothing of a new bucket but
its name, and ignores preconditions: the tests' own Google is stricter there."""

from __future__ import annotations

import asyncio
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
from fakes.google import google

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import ProviderContext
from mlinfra_gcp.provider import GcpProvider

emulator = pytest.importorskip("gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed")
pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed")
pytestmark = pytest.mark.live


def test_a_bucket_and_a_dataset_in_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows").mkdir()
    for number in range(3):
        (tmp_path / "rows" / f"{number}.csv").write_text(f"id\n{number}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with google(tmp_path / "google") as tokens, emulator.create_server("127.0.0.1", port, in_memory=True):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tokens.credentials(tmp_path)))
        asyncio.run(_round_trip(tmp_path, f"http://127.0.0.1:{port}"))


async def _round_trip(base: Path, address: str) -> None:
    provider = GcpProvider()
    config = provider.config.model_validate({"project": "acme-ml", "endpoints": {"storage": address}})
    client = await provider.connect(config, ProviderContext(project="p", environment="e", base=base, data=base))
    buckets, datasets = provider.types["gcp.storage_bucket"], provider.types["gcp.dataset"]

    def desired(type: str, **attributes: Any) -> Desired:
        return Desired(address="x", type=type, attributes=Map(freeze(attributes)))

    def recorded(wanted: Desired, seen: Any) -> ResourceState:
        return ResourceState(address="x", type=wanted.type, provider="gcp", id=seen.id, attributes=seen.attributes)

    wanted = desired("gcp.storage_bucket", name="acme-raw", forceDestroy=True)
    bucket = recorded(wanted, await buckets.create(client, wanted, uuid.uuid4().hex))
    more = desired("gcp.storage_bucket", name="acme-raw", forceDestroy=True, versioning={"enabled": True})
    assert (await buckets.update(client, bucket, more)).attributes["versioning"] == Map(enabled=True)

    found = files.digest(base, "rows")
    rows = desired("gcp.dataset", bucket="acme-raw", name="rows", source="rows", version=found.digest, size=found.size, file="")
    dataset = recorded(rows, await datasets.create(client, rows, uuid.uuid4().hex))
    seen = await datasets.read(client, dataset)
    assert seen is not None and seen.attributes["status"] == "whole"
    prefix = str(dataset.attributes["uri"]).removeprefix("gs://acme-raw/")
    assert await client.download("acme-raw", f"{prefix}/1.csv") == b"id\n1\n"
    await client.remove_objects("acme-raw", f"{prefix}/1.csv")
    damaged = await datasets.read(client, dataset)
    assert damaged is not None and damaged.attributes["status"] == "damaged"
    assert (await datasets.update(client, dataset, rows)).attributes["status"] == "whole"

    await datasets.delete(client, dataset)
    assert await datasets.read(client, dataset) is None
    await buckets.delete(client, bucket)
    assert await buckets.read(client, bucket) is None
    await client.close()
