"""This host as a training cluster: what it has is checked, reserved, and promised once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from local_world import Bench, attributes, make_client

from mlinfra.kinds.training_cluster import parse_memory_range
from mlinfra.model.values import Map
from mlinfra.provider.failures import Invalid, Quota
from mlinfra_local import hardware
from mlinfra_local.client import LocalClient
from mlinfra_local.hardware import GpuDevice, Host

GB = 10**9


@pytest.fixture
def client(tmp_path: Path) -> LocalClient:
    return make_client(tmp_path)


@pytest.fixture
def big_host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """Eight CPUs and four GPUs; the file system is the real one."""
    cards = (*(GpuDevice(i, "NVIDIA H100 80GB HBM3", 81559 * 2**20) for i in range(3)), GpuDevice(3, "Tesla T4", 15360 * 2**20))
    found = Host(8.0, 64 * GB, cards)
    monkeypatch.setattr(hardware, "host", lambda: found)
    return found


def wanted(client: LocalClient, name: str = "gpus", nodes: Any = 1, engine: str = "managed", **resources: Any) -> Map:
    return attributes(client, "training_cluster", {"resources": resources, "nodes": nodes, "engine": engine}, name)


def test_what_this_host_has_can_be_reserved(client: LocalClient) -> None:
    here = hardware.host()
    bench = Bench(client, "local.cluster", "gpus")
    seen = bench.create(**wanted(client, cpus=1, memory="1GB", disk="1MB", spot=True, nodes={"min": 0, "max": 4}))
    assert (seen.attributes["cpus"], seen.attributes["memory"], seen.attributes["gpus"]) == (1, GB, 0)
    assert (seen.attributes["status"], seen.attributes["node_count"]) == ("ready", 1)
    assert bench.read() == seen
    rest = bench.update(**wanted(client))
    assert (rest.attributes["cpus"], rest.attributes["memory"]) == (here.cpus, here.memory)


@pytest.mark.parametrize(
    ("resources", "said", "path"),
    [
        ({"cpus": 100_000}, "100000 CPUs were asked for, and this host has", ("resources", "cpus")),
        ({"memory": "900TB"}, "900 TB of memory were asked for", ("resources", "memory")),
        ({"disk": "9000PB"}, "of disk were asked for", ("resources", "disk")),
        ({"accelerators": "TPU-v5e:8"}, "8 × TPU-v5e were asked for, and this host has", ("resources", "accelerators")),
        ({"gpu": {"memory": "9TB..", "count": 2}}, "2 × GPU of 9TB.. were asked for", ("resources", "gpu")),
    ],
)
def test_what_it_has_not_is_refused_with_what_there_is(
    client: LocalClient, resources: dict[str, Any], said: str, path: tuple[str, ...]
) -> None:
    with pytest.raises(Quota) as caught:
        Bench(client, "local.cluster").create(**wanted(client, **resources))
    assert said in caught.value.message
    assert caught.value.path == path
    assert not (client.data.parent / "reservations").exists() or not list((client.data.parent / "reservations").glob("*.json"))


@pytest.mark.usefixtures("big_host")
def test_nothing_is_promised_twice_also_not_to_another_environment(tmp_path: Path, client: LocalClient) -> None:
    other = make_client(tmp_path, "prod")
    Bench(client, "local.cluster", "gpus").create(**wanted(client, accelerators="H100:2", cpus=6, memory="16GB"))
    second = Bench(other, "local.cluster", "more")
    with pytest.raises(Quota, match=r"2 × H100 .* only 1 are free: gpus of unit/test holds GPU 0, gpus of unit/test holds GPU 1"):
        second.create(**wanted(other, "more", accelerators="H100:2"))
    with pytest.raises(Quota, match=r"4 CPUs .* of 8 CPUs only 2 CPUs are free: gpus of unit/test holds 6 CPUs"):
        second.create(**wanted(other, "more", cpus=4))
    assert second.create(**wanted(other, "more", accelerators="H100-80GB", cpus=2)).attributes["gpus"] == 1


@pytest.mark.usefixtures("big_host")
def test_what_is_given_back_can_be_had_again(client: LocalClient, tmp_path: Path) -> None:
    first, second = Bench(client, "local.cluster", "one"), Bench(client, "local.cluster", "two")
    first.create(**wanted(client, "one", gpu={"memory": "16GB", "count": 1}))
    with pytest.raises(Quota, match="one of unit/test holds GPU 3"):
        second.create(**wanted(client, "two", accelerators="T4"))
    first.delete()
    first.delete()
    assert first.read() is None
    second.create(**wanted(client, "two", accelerators="T4"))
    second.delete()
    assert not (tmp_path / "data" / "reservations").exists()


@pytest.mark.usefixtures("big_host")
def test_growing_counts_what_the_cluster_itself_holds_as_free(client: LocalClient) -> None:
    bench = Bench(client, "local.cluster", "gpus")
    bench.create(**wanted(client, cpus=6))
    assert bench.update(**wanted(client, cpus=8)).attributes["cpus"] == 8
    with pytest.raises(Quota):
        bench.update(**wanted(client, cpus=9))
    seen = bench.read()
    assert seen is not None and seen.attributes["cpus"] == 8


def test_a_reservation_that_was_lost_is_seen(client: LocalClient) -> None:
    bench = Bench(client, "local.cluster", "gpus")
    bench.create(**wanted(client, cpus=1))
    for file in (client.data.parent / "reservations").glob("*.json"):
        file.unlink()
    assert bench.read() is None


def test_a_crash_is_found_by_its_token(client: LocalClient) -> None:
    bench = Bench(client, "local.cluster", "gpus")
    asked = wanted(client, cpus=1)
    assert bench.find("t1", **asked) is None
    seen = bench.create("t1", **asked)
    found = bench.find("t1", **asked)
    assert found is not None and (found.id, found.attributes["status"]) == (seen.id, "ready")
    assert bench.find("t2", **asked) is None


def test_several_machines_are_refused_when_planning(client: LocalClient) -> None:
    bench = Bench(client, "local.cluster")
    problems = bench.kind.validate(wanted(client, nodes=3))  # type: ignore[attr-defined]
    assert [path for path, _ in problems] == [("nodes",)]
    assert "processes: 3" in problems[0][1]
    with pytest.raises(Invalid):
        bench.create(**wanted(client, nodes=3))


def test_ray_that_is_not_installed_is_named(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    bench = Bench(client, "local.cluster")
    with pytest.raises(Invalid, match="Ray is not installed") as caught:
        bench.create(**wanted(client, engine="ray", cpus=1))
    assert "mlinfra-iac[ray]" in caught.value.hint
    assert not list((client.data.parent / "reservations").glob("*.json"))


def test_gpus_are_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, NVIDIA A100-SXM4-80GB, 81920'\necho '1, Tesla T4, 15360'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    a100, t4 = hardware.host().gpus
    assert (a100.index, t4.memory) == (0, 15360 * 2**20)
    assert a100.is_a("A100") and a100.is_a("a100-80GB") and not a100.is_a("A100-40GB") and not a100.is_a("T4")
    assert t4.is_a("T4") and not t4.is_a("A10")


@pytest.mark.parametrize(
    ("text", "found"), [("24GB..", (24 * GB, None)), ("16GB..32GB", (16 * GB, 32 * GB)), ("8GB", (8 * GB, 8 * GB))]
)
def test_memory_ranges_are_read_as_people_write_them(text: str, found: tuple[int, int | None]) -> None:
    assert parse_memory_range(text) == found


@pytest.mark.parametrize("text", ["", "x..", "32GB..16GB"])
def test_an_empty_range_is_no_range(text: str) -> None:
    with pytest.raises(ValueError):
        parse_memory_range(text)
