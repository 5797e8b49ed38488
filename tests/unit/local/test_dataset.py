"""Datasets in a local bucket: content-addressed, versions side by side, damage seen and repaired."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from local_world import Bench, attributes, lowered, make_client

from mlinfra.model.errors import PlanError
from mlinfra.model.values import UNKNOWN, Map
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra_local.client import LocalClient

BUCKET = Map(kind="bucket", name="raw", id="raw", uri="local://buckets/raw")


@pytest.fixture
def client(tmp_path: Path) -> LocalClient:
    client = make_client(tmp_path)
    Bench(client, "local.bucket", "raw").create(name="raw")
    (client.base / "x.csv").write_text("a,b\n1,2\n")
    return client


@pytest.fixture
def corpus(client: LocalClient) -> Bench:
    return Bench(client, "local.dataset", "corpus")


def wanted(client: LocalClient, source: str = "x.csv", **more: Any) -> Map:
    return attributes(client, "dataset", {"bucket": BUCKET, "source": source, **more}, "corpus")


def test_a_file_is_copied_below_its_digest_and_the_uri_is_known_beforehand(client: LocalClient, corpus: Bench) -> None:
    asked = wanted(client)
    seen = corpus.create(**asked)
    predicted = corpus.kind.schema.predict
    assert predicted is not None
    assert {k: seen.attributes[k] for k in ("id", "uri")} == predicted(asked)
    digest = seen.attributes["version"].removeprefix("sha256:")
    assert seen.attributes["uri"] == f"local://buckets/raw/datasets/corpus/{digest[:12]}/x.csv"
    assert client.path_of(seen.attributes["uri"]).read_text() == "a,b\n1,2\n"
    assert corpus.read() == seen


def test_a_folder_keeps_its_tree(client: LocalClient, corpus: Bench) -> None:
    (client.base / "images/deep").mkdir(parents=True)
    (client.base / "images/deep/1.png").write_text("p")
    folder = client.path_of(corpus.create(**wanted(client, "images")).attributes["uri"])
    assert [str(p.relative_to(folder)) for p in folder.rglob("*.png")] == ["deep/1.png"]


def test_a_changed_byte_is_a_new_version_beside_the_old_which_needs_no_source(client: LocalClient, corpus: Bench) -> None:
    old = wanted(client)
    first = corpus.create(**old)
    (client.base / "x.csv").write_text("a,b\n1,3\n")
    second = corpus.update(**wanted(client))
    assert first.attributes["uri"] != second.attributes["uri"]
    assert client.path_of(first.attributes["uri"]).read_text() == "a,b\n1,2\n"
    (client.base / "x.csv").unlink()
    assert corpus.update(**old) == first


def test_bytes_that_changed_since_the_plan_are_refused(client: LocalClient, corpus: Bench) -> None:
    planned = wanted(client)
    (client.base / "x.csv").write_text("other")
    with pytest.raises(Invalid, match="changed since the plan was made") as caught:
        corpus.create(**planned)
    assert caught.value.hint == "plan again"
    assert [p.name for p in client.folder("buckets", "raw").rglob("*.csv")] == []


def test_a_changed_byte_inside_the_bucket_is_drift_and_is_repaired(client: LocalClient, corpus: Bench) -> None:
    asked = wanted(client)
    first = corpus.create(**asked)
    file = client.path_of(first.attributes["uri"])
    file.write_text("a,b\n9,9\n")
    seen = corpus.read()
    assert seen is not None and seen.attributes["version"] != first.attributes["version"]
    assert corpus.update(**asked) == first
    assert file.read_text() == "a,b\n1,2\n"


def test_a_touched_file_with_the_same_bytes_is_no_drift(client: LocalClient, corpus: Bench) -> None:
    first = corpus.create(**wanted(client))
    os.utime(client.path_of(first.attributes["uri"]), (1, 1))
    assert corpus.read() == first


def test_a_version_that_is_gone_is_gone(client: LocalClient, corpus: Bench) -> None:
    seen = corpus.create(**wanted(client))
    client.path_of(seen.attributes["uri"]).unlink()
    damaged = corpus.read()
    assert damaged is not None and damaged.attributes["size"] == 0
    client.path_of(seen.attributes["uri"]).parent.rmdir()
    assert corpus.read() is None


def test_keep_bounds_the_old_versions(client: LocalClient, corpus: Bench) -> None:
    corpus.create(**wanted(client, keep=1))
    for number in range(3):
        (client.base / "x.csv").write_text(f"{number}")
        corpus.update(**wanted(client, keep=1))
    texts = {p.read_text() for p in client.folder("buckets", "raw").rglob("x.csv")}
    assert texts == {"1", "2"}


def test_a_crash_is_found_by_its_token_and_leaves_no_half_copy(client: LocalClient, corpus: Bench) -> None:
    asked = wanted(client)
    leftovers = client.folder("buckets", "raw") / "datasets/corpus/tmp"
    (leftovers / "abc").mkdir(parents=True)
    (leftovers / "abc.lock").touch()
    assert corpus.find("t1", **asked) is None
    assert not leftovers.exists()
    seen = corpus.create("t1", **asked)
    assert corpus.find("t1", **asked) == seen
    assert corpus.find("t2", **asked) is None


def test_two_datasets_of_one_name_do_not_share_a_folder(client: LocalClient, corpus: Bench) -> None:
    corpus.create(**wanted(client))
    with pytest.raises(AlreadyExists) as caught:
        Bench(client, "local.dataset", "other").create(**wanted(client))
    assert caught.value.import_id == "raw/corpus"


def test_deleting_takes_every_version_and_leaves_the_bucket(client: LocalClient, corpus: Bench) -> None:
    corpus.create(**wanted(client))
    (client.base / "x.csv").write_text("2")
    corpus.update(**wanted(client))
    corpus.delete()
    corpus.delete()
    assert [p.name for p in client.folder("buckets", "raw").iterdir()] == [".mlinfra-bucket.json"]


def test_without_its_bucket_nothing_is_written(client: LocalClient, corpus: Bench) -> None:
    with pytest.raises(NotFound, match="no bucket other"):
        corpus.create(**{**wanted(client), "bucket": "other"})
    assert not client.folder("buckets", "other").exists()


def test_a_source_of_another_place_is_refused_when_planning(client: LocalClient) -> None:
    with pytest.raises(PlanError, match="local cannot read s3://b/k"):
        lowered(client, "dataset", {"bucket": BUCKET, "source": "s3://b/k"})


def test_nothing_is_predicted_of_what_is_not_known(corpus: Bench) -> None:
    predict = corpus.kind.schema.predict
    assert predict is not None
    assert predict(Map(bucket=UNKNOWN, name="x", version="sha256:1")) == {}
    assert predict(Map(bucket="b", name="x", version=UNKNOWN)) == {"id": "b/x"}
