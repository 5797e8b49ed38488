"""``engine: zilliz``: a cluster of Zilliz Cloud and collections in it. The control plane is a fake that holds every request against
the published reference; a real Milvus answers at the cluster's endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.zilliz import KEY, PASSWORD, FakeZilliz, zilliz
from live.milvus.world import lite_server

pytestmark = pytest.mark.live

SPEC = """\
version: 1
project: rag
environments: {{dev: {{target: aws}}}}
providers: {{aws: {{region: {region}, endpoint_url: "{aws}", zilliz: {{endpoint: "{url}", poll: 0.01{more}}}}}}}
resources:
  vectors:
    kind: vector_database
    engine: zilliz
    zilliz: {{{zilliz}}}
  tickets:
    kind: collection
    database: ${{vectors}}
    fields:
      id:        {{type: int64, primary: true}}
      embedding: {{type: float_vector, dim: 8}}
    alias: live
outputs:
  uri: ${{vectors.uri}}
"""


@pytest.fixture(scope="module")
def lite_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with lite_server(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture
def cloud(lite_uri: str) -> Iterator[FakeZilliz]:
    with zilliz(address=lite_uri) as fake:
        yield fake


@pytest.fixture
def stack(
    cloud: FakeZilliz, aws_server: Any, spec_folder: Callable[..., Path], run_mlinfra: Callable[..., Any]
) -> Callable[..., Any]:
    folder = spec_folder("version: 1\nproject: rag\n")

    def run(
        command: str, code: int = 0, zilliz: str = "plan: standard, cu_size: 2", region: str = "us-west-2", more: str = "", key: str = KEY,
    ) -> Any:  # fmt: skip
        text = SPEC.format(url=cloud.url, aws=aws_server.url, zilliz=zilliz, region=region, more=more)
        (folder / "mlinfra.yaml").write_text(text)
        done = run_mlinfra(command.split(), folder, environment={"ZILLIZ_API_KEY": key})
        assert done.code == code, done.text
        return done

    return run


def written(folder: Path) -> str:
    return "".join(f.read_bytes().decode("utf-8", "replace") for f in folder.rglob("*") if f.is_file())


def test_a_cluster_with_a_collection_is_made_resized_mended_and_destroyed(
    stack: Callable[..., Any], cloud: FakeZilliz, tmp_path: Path, lite_uri: str
) -> None:
    cloud.late, cloud.faults = True, [(503, 503, "busy"), (503, 503, "busy")]  # two answers are lost
    said = stack("apply --yes").text
    (cluster,) = cloud.clusters.values()
    assert (cluster["plan"], cluster["cuSize"], cluster["regionId"]) == ("Standard", 2, "aws-us-west-2")
    assert cluster["clusterName"].startswith("rag-dev-vectors-")
    assert json.loads(stack("output --json").out)["uri"]["value"] == lite_uri
    stack("plan --detailed-exitcode")

    larger = "plan: standard, cu_size: 4"
    cluster["status"] = "STOPPED"  # suspended by hand
    resized = stack("apply --yes", zilliz=larger).out
    assert "vectors (aws.zilliz_cluster) differs" in resized and "0 to add, 1 to change, 0 to destroy" in resized
    assert (cluster["status"], cluster["cuSize"]) == ("RUNNING", 4)

    cloud.key = "fedcba9876543210-another-key"
    refused = stack("plan", code=1, zilliz=larger).err
    assert "The apikey is illegal" in refused and "ZILLIZ_API_KEY" in refused
    rotated = stack("apply --yes", zilliz=larger, key=cloud.key).out
    assert "0 to add, 2 to change, 0 to destroy" in rotated  # collection and alias are told the new key
    other = stack("plan", zilliz="plan: serverless", key=cloud.key).out
    assert "# vectors must be replaced" in other and "given when a cluster is created" in other

    said += stack("destroy --yes --allow-data-loss", zilliz=larger, key=cloud.key).text
    assert cloud.standing() == [] and cloud.invalid == []
    for secret in (KEY, cloud.key, PASSWORD):
        assert secret not in said + written(tmp_path)


def test_a_size_that_there_is_not_is_a_plan_error_at_its_place(stack: Callable[..., Any], cloud: FakeZilliz) -> None:
    refused = stack("plan --no-refresh", code=1, zilliz="plan: standard, cu_size: 3")
    assert "mlinfra.yaml:9:39" in refused.err and "no Standard cluster of 3" in refused.err, refused.err
    assert cloud.requests == []
