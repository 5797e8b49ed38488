"""A training job on a Ray cluster of Azure: submitted to a real Ray head over its HTTP API, its data in a real Azurite, tokens by the
machine's identity. The head stands in for the virtual machine, by the setting ``ray_dashboard``."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import entra
from fakes.serving import Handler, served
from live.azure.world import world as azure_world

from mlinfra.model.resource import Desired, ResourceState
from mlinfra.model.values import Map, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import Invalid
from mlinfra_azure.client import AzureClient
from mlinfra_azure.resources.ray_run import RUN
from mlinfra_azure.settings import AzureConfig

pytestmark = [pytest.mark.live, pytest.mark.slow]

TRAIN = """
import json, os, sys
rows = open(os.environ["MLINFRA_INPUT_TRAIN"]).read().split()
folder = os.environ["MLINFRA_OUTPUT_MODEL"]
open(folder + "/model.txt", "w").write(f"{sum(map(int, rows))} {sys.argv[1:]}")
json.dump({"loss": 0.5}, open(folder + "/metrics.json", "w"))
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from live.servers.ray_head import ray_head

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(TRAIN)
    (tmp_path / "rows.txt").write_text("1 2 3\n")
    with azure_world(tmp_path / "azure") as held:

        class Machine(Handler):
            """What a virtual machine finds at 169.254.169.254: tokens of its identity."""

            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                if self.headers.get("Metadata") != "true" or "resource" not in asked:
                    return self.reply(400)
                scope = f"{asked['resource'][0].rstrip('/')}/.default"
                form = f"client_id={entra.CLIENT}&client_secret={entra.CLIENT_SECRET}&grant_type=client_credentials&scope={scope}"
                token = held.azure.authority.answer(held.azure.address, f"/{entra.TENANT}/oauth2/v2.0/token", form.encode())
                return self.reply(200, json.dumps(token).encode())

        for name, value in held.azure.environment.items():
            monkeypatch.setenv(name, value)
        with served(Machine) as machine:
            found = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": machine, "SSL_CERT_FILE": str(held.azure.certificate)}
            with ray_head(found) as dashboard:
                held.container("runs").create_container()
                config = AzureConfig(**held.azure.settings())
                client = AzureClient(config, ProviderContext(project="p", environment="e", base=tmp_path, data=tmp_path / "data"))
                yield SimpleNamespace(client=client, dashboard=dashboard, base=tmp_path, held=held)


def wanted(world: Any, **more: Any) -> Desired:
    code = {"path": "code", "digest": files.digest_files(files.select(world.base, "code", "code")).digest}
    rows = {"path": "rows.txt", "digest": files.digest_files(files.select(world.base, "rows.txt")).digest}
    run = {"run": "python train.py", "params": {"epochs": 3}, "inputs": {"train": rows}, "outputs": ("model",)}
    where = {"name": "fit", "bucket": f"{world.held.url}/runs", "dashboard": world.dashboard}
    return Desired(address="fit", type="azure.ray_run", attributes=Map(freeze({**where, "code": code, **run, **more})))


def test_a_job_runs_on_the_cluster_and_what_it_leaves_is_kept_by_content(world: Any) -> None:
    client, token = world.client, uuid.uuid4().hex

    async def whole() -> None:
        first = wanted(world, expect={"loss": "< 2"})
        made = await RUN.create(client, first, token)
        assert made.attributes["metrics"] == Map(loss=0.5) and made.attributes["status"] == "done"
        uri = str(made.attributes["artifact"])
        digest = str(made.attributes["artifact_digest"]).removeprefix("sha256:")
        assert uri == f"{world.held.url}/runs/content/{digest}"
        assert await client.download(f"{world.held.url}/runs", f"content/{digest}/model.txt") == b"6 ['--epochs', '3']"
        state = ResourceState(address="fit", type="azure.ray_run", provider="azure", id=made.id, attributes=made.attributes)
        assert await RUN.read(client, state) == made
        assert await RUN.find(client, first, token) == made  # what a crash after the submission would have left
        with pytest.raises(Invalid, match=r"(?s)exit code 1"):
            await RUN.update(client, state, wanted(world, run="python -c 'print(1/0)'", inputs={}))
        await RUN.delete(client, state)
        assert await RUN.read(client, state) is None
        await client.close()

    asyncio.run(whole())
