"""What Zilliz Cloud does otherwise than Milvus: vectors have one index, AUTOINDEX, whose parameters are its own.

https://docs.zilliz.com/docs/autoindex-explained; an index of another type would be made as AUTOINDEX all the same, and told back so:
a plan that asked for one would never come to rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from mlinfra.kinds.collection_rules import VECTORS
from mlinfra.model.values import EMPTY, Map
from mlinfra_milvus.lite import Lack

AUTOINDEX = "AUTOINDEX"
_HOSTS = (".zillizcloud.com", ".zilliz.com", ".zilliz.com.cn", ".zillizcloud.com.cn")


def is_zilliz(uri: str) -> bool:
    """Whether it is a cluster of Zilliz Cloud's own: the API key is shown to no other host."""
    address = urlsplit(uri)
    return address.scheme == "https" and (address.hostname or "").endswith(_HOSTS)


def lacks(collection: Mapping[str, Any]) -> Iterator[Lack]:
    """Vector indexes that were asked for and are not to be had. Takes the plain tree of the kind, as it was written."""
    fields: Mapping[str, Any] = collection.get("fields", EMPTY)
    for name, index in collection.get("indexes", EMPTY).items():
        if fields.get(name, EMPTY).get("type") not in VECTORS:
            continue
        if index.get("type") not in (None, AUTOINDEX):
            sentence = f"Zilliz Cloud has no {index['type']}: its vectors are indexed by {AUTOINDEX}"
            yield Lack(("indexes", name, "type"), sentence, f"use {AUTOINDEX}, or leave type and params out")


def with_its_indexes(fields: Mapping[str, Any], indexes: Map) -> Map:
    """The indexes with their defaults, those of vectors as Zilliz Cloud makes them."""
    return Map(
        {
            name: Map({**index, "type": AUTOINDEX}) if fields.get(name, EMPTY).get("type") in VECTORS else index
            for name, index in indexes.items()
        }
    )
