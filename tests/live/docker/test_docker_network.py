"""The network that a stack's containers share."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from mlinfra.provider.contract import ProviderContext
from mlinfra_docker.client import DockerClient
from mlinfra_docker.settings import DockerSettings

pytestmark = pytest.mark.live


@pytest.fixture
def client(docker_api: Any, tmp_path: Path) -> Any:
    context = ProviderContext(project=f"net-{uuid.uuid4().hex[:8]}", environment="test", base=tmp_path, data=tmp_path)
    made = DockerClient(DockerSettings(), context)
    asyncio.run(made.open())
    yield made
    asyncio.run(made.close())
    for network in docker_api.networks(names=[made.network]):
        docker_api.remove_network(network["Id"])


def test_of_two_that_were_made_at_once_the_older_is_kept(docker_api: Any, client: Any) -> None:
    older, younger = (
        docker_api.create_network(client.network, check_duplicate=False, labels=client.shared_labels())["Id"] for _ in range(2)
    )
    client.ensure_network()
    assert [n["Id"] for n in docker_api.networks(names=[client.network])] == [older] != [younger]


def test_another_ones_of_the_same_name_is_left_alone(docker_api: Any, client: Any) -> None:
    both = {docker_api.create_network(client.network, check_duplicate=False)["Id"] for _ in range(2)}
    client.ensure_network()
    assert {n["Id"] for n in docker_api.networks(names=[client.network])} == both
