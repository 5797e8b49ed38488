"""A secret's payload: one version for each change of it, and none left behind without one."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.google import google

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, Secret
from mlinfra.provider.contract import ProviderContext
from mlinfra_gcp.provider import GcpProvider

pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed")
pytestmark = pytest.mark.live


def test_a_version_for_each_payload_and_no_secret_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with google(tmp_path / "google") as state:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(state.credentials(tmp_path)))
        asyncio.run(_payloads(state, tmp_path))


async def _payloads(state: Any, base: Path) -> None:
    provider: Any = GcpProvider()
    config = provider.config.model_validate(state.settings())
    client = await provider.connect(config, ProviderContext(project="p", environment="e", base=base, data=base))
    kind, token = provider.types["gcp.secret"], uuid.uuid4().hex
    wanted = Desired(address="x", type="gcp.secret", attributes=Map(name="key", payload=Secret("first-payload")))
    seen = await kind.create(client, wanted, token)
    recorded = ResourceState(address="x", type="gcp.secret", provider="gcp", id=seen.id, attributes=seen.attributes)
    (held,) = state.named("secretmanager", "/secrets/")

    await kind.update(client, recorded, replace(wanted, attributes=Map({**wanted.attributes, "labels": Map(a="b")})))
    assert len(held["_versions"]) == 1 and held["labels"]["a"] == "b"
    await kind.update(client, recorded, replace(wanted, attributes=Map(name="key", payload=Secret("second-payload"))))
    assert len(held["_versions"]) == 2

    assert await kind.find(client, wanted, token) is not None
    held.pop("_versions")  # a crash came between the secret and its version
    assert await kind.find(client, wanted, token) is None
    assert state.everything() == [] and state.invalid == []
    await client.close()
