"""Zilliz Cloud's client and native type, against the fake that holds every request against the published reference."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from fakes.zilliz import PROJECT, SAMPLE, FakeZilliz, zilliz

from mlinfra.kinds.vector_database import VectorDatabase
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired
from mlinfra.model.values import UNKNOWN, Map, Secret, freeze
from mlinfra.provider.contract import LoweringContext, LoweringError
from mlinfra.provider.failures import Denied, Failure, Invalid, NotFound, Throttled, Timeout
from mlinfra.provider.zilliz.client import Zilliz
from mlinfra.provider.zilliz.cluster import ZillizCluster
from mlinfra.provider.zilliz.lowering import lower_zilliz, refuse_zilliz
from mlinfra.provider.zilliz.settings import ZillizSettings

TOKEN = "0a1b2c3d" * 4
TYPE = ZillizCluster()


@pytest.fixture
def cloud() -> Iterator[FakeZilliz]:
    with zilliz(looks=1) as fake:
        yield fake
        assert fake.invalid == []


def connected(cloud: FakeZilliz, act: Callable[[Any], Awaitable[Any]], **settings: Any) -> Any:
    async def run() -> Any:
        client = SimpleNamespace(zilliz=Zilliz(ZillizSettings.model_validate({**cloud.settings(), **settings})))
        try:
            return await act(client)
        finally:
            await client.zilliz.close()

    return asyncio.run(run())


def wanted(timeout: float | None = None, **attributes: Any) -> Desired:
    return Desired(address="vectors", type="aws.zilliz_cluster", attributes=Map(freeze(attributes)), timeout=timeout)


def create(cloud: FakeZilliz, attributes: Mapping[str, Any], timeout: float | None = None, **settings: Any) -> Any:
    return connected(cloud, lambda c: TYPE.create(c, wanted(timeout, **attributes), TOKEN), **settings)


def test_the_name_carries_the_operation_and_the_only_project_is_taken(cloud: FakeZilliz) -> None:
    made = create(cloud, SAMPLE["serverless"])
    assert made.attributes["clusterName"] == "tickets-0a1b2c3d" and made.attributes["projectId"] == PROJECT
    assert made.attributes["connectAddress"].startswith("https://in05-") and made.attributes["status"] == "RUNNING"
    assert isinstance(made.attributes["token"], Secret)


def test_of_several_projects_one_must_be_named(cloud: FakeZilliz) -> None:
    cloud.projects.append("proj-ebc5ac7f430702aec8c57b")
    with pytest.raises(Invalid) as refused:
        create(cloud, SAMPLE["serverless"])
    assert all(p in refused.value.message for p in cloud.projects) and "zilliz: {project: proj-…}" in refused.value.hint
    assert create(cloud, SAMPLE["serverless"], project=cloud.projects[1]).attributes["projectId"] == cloud.projects[1]


def test_a_create_whose_answer_was_lost_takes_what_it_made(cloud: FakeZilliz) -> None:
    cloud.late, cloud.faults = True, [(500, 500, "internal error")]
    create(cloud, SAMPLE["two"], project=PROJECT)
    assert len(cloud.clusters) == 1


def test_a_cluster_that_takes_too_long_is_found_again_and_waited_for(cloud: FakeZilliz) -> None:
    cloud.looks = 10_000
    with pytest.raises(Timeout) as late:
        create(cloud, SAMPLE["two"], timeout=0.05)
    assert late.value.partial is None  # nothing to be replaced: the next run goes on
    found = connected(cloud, lambda c: TYPE.find(c, wanted(**SAMPLE["two"]), TOKEN))
    assert found.attributes["status"] == "CREATING"


def test_a_cluster_is_found_among_more_than_a_page_of_them(cloud: FakeZilliz) -> None:
    create(cloud, SAMPLE["serverless"])
    (ours,) = cloud.clusters.values()
    others = {f"in05-{n:x}": {**ours, "clusterId": f"in05-{n:x}", "clusterName": f"other-{n}"} for n in range(150)}
    cloud.clusters = {**others, ours["clusterId"]: ours}
    found = connected(cloud, lambda c: TYPE.find(c, wanted(**SAMPLE["serverless"]), TOKEN))
    assert found.id == ours["clusterId"]
    assert connected(cloud, lambda c: TYPE.find(c, wanted(**SAMPLE["serverless"]), "f" * 32)) is None


@pytest.mark.parametrize(
    ("fault", "failure", "told"),
    [
        ((401, 21119, "The apikey is illegal."), Denied, "ZILLIZ_API_KEY"),
        ((200, 96015, "You don't have permission for this cluster."), Denied, ""),
        ((200, 96020, "This region does not support serverless plan."), Invalid, "plan: standard"),
        ((200, 96001, "Invalid RegionId."), Invalid, "all-regions"),
        ((429, 429, "Too many requests"), Throttled, ""),
    ],
)
def test_what_is_refused_says_the_operation_the_code_and_what_to_do(
    cloud: FakeZilliz, fault: tuple[int, int, str], failure: type[Failure], told: str
) -> None:
    cloud.faults = [fault]
    with pytest.raises(failure) as refused:
        create(cloud, SAMPLE["serverless"], project=PROJECT)
    assert fault[2].rstrip(".") in refused.value.message and f"code {fault[1]}" in refused.value.message
    assert "POST /v2/clusters/createServerless" in refused.value.message and "r-4711" in refused.value.message
    assert told in refused.value.hint


def test_without_a_key_the_error_says_where_it_comes_from(cloud: FakeZilliz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZILLIZ_API_KEY", raising=False)
    with pytest.raises(Denied) as refused:
        create(cloud, SAMPLE["serverless"], api_key=None)
    assert "ZILLIZ_API_KEY" in refused.value.hint


def test_a_cluster_that_was_dropped_meanwhile_or_is_frozen_says_so(cloud: FakeZilliz) -> None:
    made = create(cloud, SAMPLE["two"])
    (cluster,) = cloud.clusters.values()
    recorded: Any = SimpleNamespace(id=made.id, attributes=made.attributes)
    larger = wanted(**SAMPLE["four"])
    cluster["status"] = "FROZEN"
    with pytest.raises(Denied, match="FROZEN"):
        connected(cloud, lambda c: TYPE.update(c, recorded, larger))
    cluster["status"] = "DELETED"
    with pytest.raises(NotFound):
        connected(cloud, lambda c: TYPE.update(c, recorded, larger))
    assert connected(cloud, lambda c: TYPE.read(c, recorded)) is None


def test_the_key_is_never_sent_in_the_clear() -> None:
    with pytest.raises(ValueError, match="no https:// address"):
        ZillizSettings(endpoint="http://api.cloud.zilliz.com")


@pytest.mark.parametrize(
    ("attributes", "path", "told"),
    [
        ({**SAMPLE["two"], "cuSize": 3}, "cuSize", "no Standard cluster of 3"),
        ({**SAMPLE["two"], "cuSize": 64}, "cuSize", "no Standard cluster of 64"),
        ({**SAMPLE["two"], "replica": 2}, "replica", "plan Enterprise"),
        ({**SAMPLE["copies"], "cuSize": 4}, "replica", "8 compute units"),
        ({**SAMPLE["serverless"], "cuSize": 1}, "cuSize", "no cuSize"),
        ({**SAMPLE["two"], "plan": "Gold"}, "plan", "Serverless, Standard or Enterprise"),
        ({"name": "t", "regionId": "aws-us-west-2", "plan": "Standard", "cuSize": 1}, "cuType", "needs cuType"),
        ({**SAMPLE["two"], "name": "tick_ets"}, "name", "letters, digits and hyphens"),
    ],
)
def test_what_can_never_be_made_is_told_by_the_plan(attributes: dict[str, Any], path: str, told: str) -> None:
    ((where, sentence),) = TYPE.validate(Map(freeze(attributes)))
    assert where == (path,) and told in sentence


def test_sizes_are_those_of_the_reference() -> None:
    for size in (1, 2, 4, 8, 64, 72, 256, 272, 1024):
        assert not TYPE.validate(Map({**SAMPLE["two"], "plan": "Enterprise", "cuSize": size}))
    for size in (0, 6, 68, 260, 1040):
        assert TYPE.validate(Map({**SAMPLE["two"], "plan": "Enterprise", "cuSize": size}))


def lowered(**properties: Any) -> Any:
    component = Component(kind="vector_database", name="vectors", target="gcp", properties=freeze(properties))
    context = LoweringContext(component=component, project="a-long-project-name", environment="prod", provider="gcp")
    spec = VectorDatabase.model_validate({"engine": "zilliz", **properties})
    return lower_zilliz(spec, context, type="gcp.zilliz_cluster", region="gcp-us-west1")


def test_a_cluster_is_lowered_by_its_plan_with_a_name_that_leaves_room_for_the_operation() -> None:
    (cluster,) = lowered().resources
    assert cluster.type == "gcp.zilliz_cluster" and cluster.attributes["plan"] == "Serverless"
    assert "cuSize" not in cluster.attributes and len(cluster.attributes["name"]) <= 23
    assert not TYPE.validate(cluster.attributes)
    (cluster,) = lowered(zilliz={"plan": "standard", "region": "aws-us-west-2"}).resources
    assert (cluster.attributes["cuSize"], cluster.attributes["cuType"]) == (1, "Performance-optimized")
    assert cluster.attributes["regionId"] == "aws-us-west-2"
    assert lowered(token=Secret("db_admin:password")).outputs["token"] == Secret("db_admin:password")


@pytest.mark.parametrize(
    "properties", [{"version": "2.6"}, {"resources": {"cpus": 4}}, {"zilliz": {"plan": "standard", "cu_size": UNKNOWN}}]
)
def test_what_says_nothing_to_zilliz_cloud_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(LoweringError):
        lowered(**properties)


@pytest.mark.parametrize(
    "properties", [{"engine": "milvus", "zilliz": {}}, {"zilliz": {"cu_size": 2}}, {"zilliz": {"plan": "gold"}}]
)
def test_the_kind_takes_only_what_goes_together(properties: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="zilliz"):
        VectorDatabase.model_validate({"engine": "zilliz", **properties})


def test_a_target_without_zilliz_cloud_refuses_it() -> None:
    component = Component(kind="vector_database", name="vectors", target="local", properties=Map())
    context = LoweringContext(component=component, project="p", environment="dev", provider="local")
    with pytest.raises(LoweringError, match="aws, gcp and azure"):
        refuse_zilliz(VectorDatabase(engine="zilliz"), context)
