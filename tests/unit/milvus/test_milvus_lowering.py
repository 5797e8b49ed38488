"""How a collection becomes native resources: names that can stand side by side, an alias that moves last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlinfra.kinds.collection import Collection
from mlinfra.model.component import Component, Lifecycle
from mlinfra.model.values import Map, Ref, Secret, freeze
from mlinfra.provider.contract import Lowered, LoweringContext, LoweringError, ProviderContext
from mlinfra_milvus.client import MilvusClients, MilvusConfig
from mlinfra_milvus.lowering.collection import lower

FIELDS: dict[str, Any] = {"id": {"type": "int64", "primary": True}, "embedding": {"type": "float_vector", "dim": 8}}


def lowered(engine: str = "milvus", lifecycle: Lifecycle | None = None, token: Any = None, **properties: Any) -> Lowered:
    given = freeze({"fields": FIELDS, **properties})
    database = Map(kind="vector_database", uri=Ref("vectors", ("uri",)), engine=engine, database="default", token=token)
    component = Component(
        kind="collection", name="module.rag.tickets", target="aws", properties=given, lifecycle=lifecycle or Lifecycle()
    )
    context = LoweringContext(component=component, project="p", environment="prod", provider="aws")
    return lower(Collection.model_validate({"database": database, **given}), context)


def name_of(**properties: Any) -> str:
    return str(lowered(**properties).resources[0].attributes["name"])


def test_without_an_alias_the_name_is_plain_and_the_old_one_goes_first() -> None:
    (collection,) = lowered(name="tickets").resources
    assert collection.attributes["name"] == "tickets"
    assert collection.lifecycle.create_first is False
    assert collection.provider == "milvus" and collection.address == "module.rag.tickets"


def test_an_alias_settles_after_everything_that_depends_on_the_collection() -> None:
    collection, alias = lowered(alias="live").resources
    assert alias.address == "module.rag.tickets.alias"
    assert alias.settles_after == (collection.address,)
    assert alias.attributes["collection"] == Ref(collection.address, ("name",))
    assert collection.lifecycle.create_first is None


def test_behind_an_alias_new_content_has_a_new_name() -> None:
    first = name_of(alias="live", name="tickets")
    assert first.startswith("tickets_") and len(first) == len("tickets_") + 10
    wider = {**FIELDS, "embedding": {"type": "float_vector", "dim": 16}}
    others = {
        name_of(alias="live", name="tickets", fields=wider),
        name_of(alias="live", name="tickets", shards=2),
        name_of(alias="live", name="tickets", dynamic_fields=True),
        name_of(alias="live", name="tickets", indexes={"embedding": {"type": "FLAT"}}),
    }
    assert len(others) == 4 and first not in others


def test_what_changes_in_place_keeps_the_name() -> None:
    first = name_of(alias="live")
    turned = dict(reversed(FIELDS.items()))
    assert name_of(alias="other", partitions=["en"], properties={"ttl": "1h"}, fields=turned) == first
    # The default index, written out, is the default index.
    assert name_of(alias="live", indexes={"embedding": {"type": "AUTOINDEX", "metric": "COSINE"}}) == first


def test_every_vector_field_gets_an_index() -> None:
    fields = {
        **FIELDS,
        "bits": {"type": "binary_vector", "dim": 16},
        "sparse": {"type": "sparse_float_vector"},
        "text": {"type": "varchar", "max_length": 9},
    }
    assert lowered(fields=fields, indexes={"embedding": {"metric": "L2"}}).resources[0].attributes["indexes"] == {
        "embedding": {"type": "AUTOINDEX", "metric": "L2"},
        "bits": {"type": "BIN_FLAT", "metric": "HAMMING"},
        "sparse": {"type": "SPARSE_INVERTED_INDEX", "metric": "IP"},
    }


def test_what_an_application_searches_through_is_an_output() -> None:
    assert lowered(alias="live").outputs["alias"] == Ref("module.rag.tickets.alias", ("alias",))
    assert lowered().outputs["alias"] == Ref("module.rag.tickets", ("name",))


def test_the_databases_token_reaches_the_collection_as_a_secret() -> None:
    for resource in lowered(alias="live", token=Secret("k")).resources:
        assert resource.attributes["token"] == Secret("k")


def test_content_that_is_not_known_cannot_stand_behind_an_alias() -> None:
    later = {**FIELDS, "embedding": {"type": "float_vector", "dim": Ref("other", ("output",))}}
    assert lowered(fields=later).resources
    with pytest.raises(LoweringError, match="known at plan time"):
        lowered(fields=later, alias="live")


def test_building_beside_without_an_alias_is_refused() -> None:
    with pytest.raises(LoweringError, match="needs an alias"):
        lowered(lifecycle=Lifecycle(create_first=True))


def test_everything_that_lite_lacks_is_told_at_once_with_an_alternative() -> None:
    fields = {**FIELDS, "bits": {"type": "binary_vector", "dim": 16}}
    wanted: dict[str, Any] = {
        "fields": fields,
        "indexes": {"embedding": {"type": "IVF_PQ", "params": {"m": 2}}},
        "properties": {"ttl": "1h"},
    }
    assert lowered(**wanted).resources
    with pytest.raises(LoweringError) as refused:
        lowered(engine="milvus-lite", **wanted)
    told = {d.path: d.hint for d in refused.value.diagnostics}
    assert set(told) == {("fields", "bits", "type"), ("indexes", "embedding", "type"), ("properties", "ttl")}
    assert "IVF_SQ8" in told["indexes", "embedding", "type"]


def test_zilliz_cloud_has_one_index_for_vectors_and_its_own_parameters() -> None:
    (collection,) = lowered(engine="zilliz").resources
    assert collection.attributes["indexes"] == Map(embedding=Map(type="AUTOINDEX", metric="COSINE"))
    sparse = {**FIELDS, "words": {"type": "sparse_float_vector"}, "label": {"type": "varchar", "max_length": 8}}
    (collection,) = lowered(engine="zilliz", fields=sparse, indexes={"label": {"type": "INVERTED"}}).resources
    assert {n: i["type"] for n, i in collection.attributes["indexes"].items()} == {
        "embedding": "AUTOINDEX", "words": "AUTOINDEX", "label": "INVERTED",
    }  # fmt: skip
    with pytest.raises(LoweringError, match="AUTOINDEX"):
        lowered(engine="zilliz", indexes={"embedding": {"type": "HNSW"}})


def test_the_zilliz_key_is_shown_to_zilliz_clouds_own_hosts_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZILLIZ_API_KEY", "planted-zilliz-key")
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)
    clients = MilvusClients(MilvusConfig(), ProviderContext(project="p", environment="e", base=tmp_path, data=tmp_path))
    theirs = "https://in01-1.aws-us-west-2.vectordb.zillizcloud.com:19530"
    assert clients.server({"uri": theirs}).token == "planted-zilliz-key"
    for uri in ("http://in01-1.vectordb.zillizcloud.com", "https://zillizcloud.com.evil.example", "http://10.0.0.1:19530"):
        assert clients.server({"uri": uri}).token == ""
